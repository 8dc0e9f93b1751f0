// SPDX-License-Identifier: MIT
// conf_distance: see conf_distance.h. Haversine by chords: two points on the unit sphere, half
// their chord is the sine of half the angle. Sine and arc sine are series on small arguments.
#include "conf_distance.h"

#include <math.h>

#define PI 3.14159265358979323846
#define EARTH_RADIUS_M 6371008.8 // mean radius, IUGG
#define STRETCH_NUMERATOR 15     // metres * 15 / 1000 = microseconds: 2 / 200 km/ms * 1.5
#define ENDS_US 2000

// Taylor around 0; |x| <= pi / 2, where 15 terms are exact to the last bits of a double.
static double sine(double x)
{
    double term = x, sum = x;
    for (int i = 1; i < 15; i++) {
        term = -term * x * x / ((2 * i) * (2 * i + 1));
        sum += term;
    }
    return sum;
}

// Of any angle in [-pi, pi].
static double sine_wide(double x)
{
    if (x > PI / 2)
        return sine(PI - x);
    return x < -PI / 2 ? -sine(PI + x) : sine(x);
}

static double cosine(double x)
{
    return sine_wide(PI / 2 - (x < 0 ? -x : x));
}

// Of x in [0, 1]: halved twice by asin(x) = 2 asin(sqrt((1 - sqrt(1 - x^2)) / 2)), then the series.
static double arc_sine(double x)
{
    double scale = 1;
    for (int i = 0; i < 2; i++) {
        x = sqrt((1 - sqrt(1 - x * x)) / 2);
        scale *= 2;
    }
    double power = x, sum = x;
    for (int i = 1; i < 25; i++) {
        power = power * x * x * (2 * i - 1) / (2 * i);
        sum += power / (2 * i + 1);
    }
    return scale * sum;
}

int64_t conf_distance_m(ConfLocation a, ConfLocation b)
{
    const double radian = PI / 180 / 1000000;
    double latitude_a = a.latitude_udeg * radian, latitude_b = b.latitude_udeg * radian;
    double east = (double)((int64_t)b.longitude_udeg - a.longitude_udeg) * radian;
    if (east > PI)
        east -= 2 * PI;
    if (east < -PI)
        east += 2 * PI;
    double half_north = sine((latitude_b - latitude_a) / 2), half_east = sine(east / 2);
    double h =
        half_north * half_north + cosine(latitude_a) * cosine(latitude_b) * half_east * half_east;
    h = h > 1 ? 1 : h;
    return (int64_t)(2 * EARTH_RADIUS_M * arc_sine(sqrt(h)) + 0.5);
}

int64_t conf_latency_us(ConfLocation a, ConfLocation b)
{
    return conf_distance_m(a, b) * STRETCH_NUMERATOR / 1000 + ENDS_US;
}
