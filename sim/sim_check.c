// SPDX-License-Identifier: MIT
// sim_check: see sim_check.h. Checks look at values that leave the core and at nothing inside it.
#include "sim_check.h"

#include <string.h>

#include "bounds.h"
#include "hash.h"
#include "pick.h"
#include "rng.h"
#include "sim_plan.h"

// How far down in an order a gateway must stand: live ones, then doubtful ones, then those that
// cannot serve the class, then what the operator drained, then what is held down.
static int rank(const PlanGateway *gateway, uint32_t class_)
{
    switch (gateway->state) {
    case HEALTH_DRAINED:
        return 3;
    case HEALTH_DOWN:
        return 4;
    case HEALTH_NEVER:
        return 5;
    default:
        break;
    }
    if ((gateway->classes & 1U << class_) == 0)
        return 2;
    return gateway->state == HEALTH_SUSPECT ? 1 : 0;
}

static int broken(Error *reterr, const Plan *plan, const char *what, uint64_t a, uint64_t b)
{
    return error_set(reterr, ERROR_NOT_HELD, "invariant %s (plan %llx: %llu, %llu)", what,
                     (unsigned long long)plan->number, (unsigned long long)a,
                     (unsigned long long)b);
}

static int check_route(const Plan *plan, const PlanRoute *route, Error *reterr)
{
    if (route->n_entries == 0 || route->n_entries > BOUND_ORDER)
        return broken(reterr, plan, "1: empty or endless route", route->group, route->n_entries);
    uint64_t seen = 0, sum = 0, best_share = 0;
    int last = 0, best = 0;
    for (uint32_t i = 0; i < route->n_entries; i++) {
        const PlanEntry *entry = &route->entries[i];
        if (entry->gateway >= plan->n_gateways)
            return broken(reterr, plan, "1: unknown gateway", entry->gateway, plan->n_gateways);
        if (plan->n_gateways <= 64 && (seen >> entry->gateway & 1) != 0)
            return broken(reterr, plan, "1: gateway twice in a route", route->group,
                          entry->gateway);
        seen |= UINT64_C(1) << entry->gateway % 64;
        int r = rank(&plan->gateways[entry->gateway], route->class_);
        if (r < last)
            return broken(reterr, plan, "2: a gateway stands before a better one", route->group,
                          entry->gateway);
        last = r;
        if (i == 0)
            best = r;
        if (r == best)
            best_share += entry->share_ppm;
        sum += entry->share_ppm;
    }
    if (sum != PPM_ONE)
        return broken(reterr, plan, "4: shares do not sum to one", route->group, sum);
    if (best_share != PPM_ONE)
        return broken(reterr, plan, "2: share of a gateway that should be last", route->group,
                      best_share);
    if (plan->n_gateways > BOUND_ORDER)
        return 0;
    for (uint32_t g = 0; g < plan->n_gateways; g++) {
        bool in = (seen >> g & 1) != 0, never = plan->gateways[g].state == HEALTH_NEVER;
        if (never && in && best < 5)
            return broken(reterr, plan, "2: a 'never' gateway in a route", route->group, g);
        if (!never && !in)
            return broken(reterr, plan, "2: a gateway is missing in a route", route->group, g);
    }
    return 0;
}

static int check_loads(const Model *model, const Plan *plan, Error *reterr)
{
    // What a route hands to each gateway; nothing may go beyond capacity while it fits elsewhere.
    uint64_t over = 0, room = 0;
    uint64_t slack = (uint64_t)model->n_regions * PPM_ONE;
    for (uint32_t g = 0; g < plan->n_gateways; g++) {
        const PlanGateway *gateway = &plan->gateways[g];
        uint64_t capacity = (uint64_t)gateway->capacity_rps * PPM_ONE;
        uint64_t load = (uint64_t)gateway->capacity_rps * gateway->load_ppm;
        if (rank(gateway, SERVICE_CLASS_READ) != 0 || gateway->classes != CLASS_MASK_ALL ||
            gateway->share_ppm < PPM_ONE)
            continue; // it may be full for other reasons, or take no more
        if (load > capacity)
            over += load - capacity;
        else
            room += capacity - load;
    }
    if (plan->n_gateways > BOUND_ORDER)
        return 0; // room at a gateway that stands in no order is of no use
    // Loads are told in whole percents, shares in whole millionths: that much is rounded.
    for (uint32_t g = 0; g < plan->n_gateways; g++)
        slack += (uint64_t)plan->gateways[g].capacity_rps * PPM_ONE / 200;
    if (over > slack && room > over + slack)
        return broken(reterr, plan, "3: overload while others have room", over / PPM_ONE,
                      room / PPM_ONE);
    return 0;
}

int sim_check_plan(const Model *model, const Plan *plan, SimDigests *digests, Error *reterr)
{
    if (plan->n_gateways != model->n_regions || plan->n_services != model->n_services ||
        plan->n_groups != model->n_groups ||
        plan->n_routes != plan->n_services * SERVICE_CLASS_MAX * plan->n_groups)
        return broken(reterr, plan, "1: a plan of another shape", plan->n_gateways, plan->n_routes);
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        int r = check_route(plan, &plan->routes[i], reterr);
        if (r < 0)
            return r;
    }
    for (int c = 0; c < SERVICE_CLASS_MAX; c++)
        for (uint32_t i = 0; i < plan->n_forward[c]; i++)
            if (plan->forward[c][i].gateway == plan->own)
                return broken(reterr, plan, "1: forwards to itself", (uint64_t)c, i);
    int r = check_loads(model, plan, reterr);
    if (r < 0)
        return r;
    uint64_t content = sim_plan_fleet_content(plan);
    size_t slot = (size_t)(hash_mix(plan->fleet_digest) % SIM_CHECK_DIGESTS);
    if (digests->digest[slot] == plan->fleet_digest && digests->content[slot] != content)
        return broken(reterr, plan, "5: one digest for two fleet parts", plan->fleet_digest,
                      content);
    digests->digest[slot] = plan->fleet_digest;
    digests->content[slot] = content;
    return 0;
}

int sim_check_begin(SimCheck *check, const Model *model, Core *core, Mono now, SimDigests *digests,
                    Error *reterr)
{
    const Plan *plan = core_plan(core);
    if (plan == NULL)
        return error_set(reterr, ERROR_NOT_HELD, "invariant 1: no plan after core_new");
    *check = (SimCheck){.plan_number = plan->number, .boot = now, .now = now};
    check->content = sim_plan_fleet_content(plan) ^ sim_plan_local_content(plan);
    return sim_check_plan(model, plan, digests, reterr);
}

// A verdict came to be in this step: who decided it, and was it allowed to?
static int check_verdicts(SimCheck *check, const Model *model, Core *core, Arena *arena, Mono now,
                          const CoreUpdate *update, Error *reterr)
{
    uint32_t n_held = 0;
    bool adopted = false, errors = false;
    for (uint32_t i = 0; i < update->n_records; i++) {
        adopted = adopted || update->records[i].kind == RECORD_VERDICT_ADOPTED;
        errors = errors || (update->records[i].kind == RECORD_VERDICT_DOWN &&
                            strstr(update->records[i].facts, "failed in 10 s") != NULL);
    }
    CoreSelfStatus self = core_self_status(core, now);
    uint64_t held = 0, slow = 0;
    for (uint32_t g = 0; g < model->n_regions && g < 64; g++) {
        CoreGatewayStatus status;
        int r = core_gateway_status(core, arena, g, now, &status);
        if (r < 0)
            return error_wrap(reterr, r, "status of a gateway");
        if (status.slow)
            slow |= UINT64_C(1) << g;
        if (!status.held)
            continue;
        held |= UINT64_C(1) << g;
        n_held++;
        bool fresh_verdict = (check->held >> g & 1) == 0;
        if (fresh_verdict && mono_since(now, check->boot) < model->health.boot_ns)
            return error_set(reterr, ERROR_NOT_HELD,
                             "invariant 2: gateway %u held down just after the start", g);
        if (fresh_verdict && !adopted && !errors &&
            (status.down < model->n_regions / 2 || 3 * status.down < 2 * self.fresh))
            return error_set(reterr, ERROR_NOT_HELD,
                             "invariant 2: gateway %u held down by %u votes of %u fresh observers",
                             g, status.down, self.fresh);
    }
    uint64_t limit = (uint64_t)model->n_regions * model->health.removal_floor_ppm / PPM_ONE;
    if (n_held > limit && (held & ~check->held) != 0)
        return error_set(reterr, ERROR_NOT_HELD,
                         "invariant 2: %u gateways held down, the limit is %llu", n_held,
                         (unsigned long long)limit);
    check->held = held;
    check->slow = slow;
    return 0;
}

int sim_check_step(SimCheck *check, const Model *model, Core *core, Arena *arena, Mono now,
                   const CoreUpdate *update, SimDigests *digests, Error *reterr)
{
    check->now = now = mono_max(check->now, now);
    const Plan *plan = core_plan(core);
    if (plan == NULL)
        return error_set(reterr, ERROR_NOT_HELD, "invariant 1: the plan is gone");
    if (update->plan == NULL) {
        if (plan->number != check->plan_number)
            return broken(reterr, plan, "1: the plan changed unsaid", check->plan_number, 0);
    } else {
        if (plan->number != update->plan->number)
            return broken(reterr, plan, "1: the plan said is not the plan", update->plan->number,
                          0);
        bool first = !check->said && plan->number == check->plan_number;
        if (plan->number <= check->plan_number && !first)
            return broken(reterr, plan, "1: not newer than the last plan", check->plan_number, 0);
        int r = sim_check_plan(model, plan, digests, reterr);
        if (r < 0)
            return r;
        check->content = sim_plan_fleet_content(plan) ^ sim_plan_local_content(plan);
        check->plan_number = plan->number;
        check->said = true;
    }
    if (update->n_records == 0 && update->plan == NULL)
        return 0;
    return check_verdicts(check, model, core, arena, now, update, reterr);
}

int sim_check_failed_step(const SimCheck *check, const Core *core, Error *reterr)
{
    const Plan *plan = core_plan(core);
    if (plan == NULL || plan->number != check->plan_number ||
        (sim_plan_fleet_content(plan) ^ sim_plan_local_content(plan)) != check->content)
        return error_set(reterr, ERROR_NOT_HELD, "invariant 1: a failed step changed the plan");
    return 0;
}

int sim_check_same_way(const Model *model, const Plan *a, const Plan *b, uint64_t seed,
                       Error *reterr)
{
    Rng rng = rng_seeded(seed);
    for (int i = 0; i < 16; i++) {
        Ip client = {{[10] = 0xff, [11] = 0xff}};
        for (int k = 12; k < 16; k++)
            client.bytes[k] = (uint8_t)rng_next(&rng);
        uint32_t service = (uint32_t)rng_below(&rng, model->n_services);
        ServiceClass class_ = (ServiceClass)rng_below(&rng, SERVICE_CLASS_MAX);
        uint32_t order_a[BOUND_ORDER], order_b[BOUND_ORDER];
        uint32_t n_a =
            pick_order(a, model->prefixes, model->n_prefixes, service, class_, &client, order_a);
        uint32_t n_b =
            pick_order(b, model->prefixes, model->n_prefixes, service, class_, &client, order_b);
        bool same = n_a == n_b && n_a > 0;
        for (uint32_t k = 0; same && k < n_a; k++)
            same = order_a[k] == order_b[k];
        if (!same)
            return broken(reterr, a, "4: two agents send one client two ways", a->own, b->own);
    }
    return 0;
}
