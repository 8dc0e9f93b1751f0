-- Detections are insert-only and go between the regions as they are (filtered by _origin), so nothing here may
-- differ from region to region but _origin: no sequence, no default that reads a clock. All other columns come from
-- the request; id is derived from it (src/backend/detection.h), so a retry in another region is the same row.
CREATE TABLE public.detections (
    id uuid PRIMARY KEY,
    device text NOT NULL CHECK (length(device) BETWEEN 1 AND 64),
    taken_at timestamptz NOT NULL,
    species text NOT NULL CHECK (octet_length(species) BETWEEN 1 AND 128),
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    latitude double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision CHECK (longitude BETWEEN -180 AND 180),
    image_digest bytea CHECK (octet_length(image_digest) = 32),
    idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 128),
    _origin smallint NOT NULL CHECK (_origin BETWEEN 1 AND 255),
    CHECK ((latitude IS NULL) = (longitude IS NULL))
);

-- The two orders of GET /api/detections, newest first.
CREATE INDEX detections_taken_at ON public.detections (taken_at DESC, id DESC);
CREATE INDEX detections_device ON public.detections (device, taken_at DESC, id DESC);
