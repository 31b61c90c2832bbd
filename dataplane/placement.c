/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/placement.h"

#include "config/log.h"
#include "dataplane/rcu.h"

#include <numa.h>
#include <rte_cycles.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SMOOTHING      0.25 /* weight of the last 100 ms in a load */
#define PATIENCE       5    /* ticks in a row in which a move is worth it, before it is made */
#define MOVES_MAX      4    /* a tick, when there are many small queues */
#define ALIKE	       0.05 /* loads that differ by less are the same to a new queue */
#define HANDOVER_US    20
#define HANDOVER_POLLS 50 /* then the queue is handed over by RCU's timer */

static struct {
	struct placement_conf conf;
	int node[RCU_WORKERS_MAX];
	struct port *ports[PORT_MAX];
	size_t n_ports;
	uint64_t serial, measured_tsc;
	unsigned waiting; /* ticks for which a move has been worth it */
	struct placement_queue view[PORT_MAX * PORT_QUEUE_MAX];
	struct port_rx *viewed[PORT_MAX * PORT_QUEUE_MAX];
} placement;

/* --- the decision --------------------------------------------------------------------------------------------- */

/** What moving a queue of load l from a worker of load a to one of load b takes off the busier of both:
 * a - max(a - l, b + l). Moved, the way back has min(l, (b + l) - (a - l) - l) = min(l, b - a + l), and a gain was only
 * there because a - b > l: less than nothing. */
static double gain(double l, double a, double b)
{
	return RTE_MIN(l, a - b - l);
}

static unsigned least_loaded(const double *load, unsigned n_workers, uint32_t allowed, unsigned but)
{
	unsigned best = but;

	for (unsigned w = 0; w < n_workers; w++) {
		if (w != but && (allowed >> w & 1) != 0 && (best == but || load[w] < load[best]))
			best = w;
	}
	return best;
}

bool placement_choose(const struct placement_queue *queues, size_t n, unsigned n_workers,
	size_t *which, unsigned *to)
{
	double load[RCU_WORKERS_MAX] = { 0 }, best = GAIN_MIN, smallest = 0;
	bool found = false;

	for (size_t i = 0; i < n; i++)
		load[queues[i].worker] += queues[i].load;
	for (size_t i = 0; i < n; i++) {
		const unsigned from = queues[i].worker,
			       w = least_loaded(load, n_workers, queues[i].allowed, from);
		const double g = gain(queues[i].load, load[from], load[w]);

		if (w == from || load[from] - load[w] < IMBALANCE)
			continue;
		/* Of two that are as good, the one that disturbs less. */
		if (g < best || (found && g <= best && queues[i].load >= smallest))
			continue;
		found = true;
		best = g;
		smallest = queues[i].load;
		*which = i;
		*to = w;
	}
	return found;
}

/* --- where a queue may be ------------------------------------------------------------------------------------- */

int placement_node(unsigned worker)
{
	return placement.node[worker];
}

static uint32_t allowed(const struct port *port)
{
	const uint32_t all = (uint32_t)((UINT64_C(1) << placement.conf.n_workers) - 1);
	const int node = port->ops->numa_node != NULL ? port->ops->numa_node(port) : -1;
	uint32_t near = 0;

	if (port->pinned < placement.conf.n_workers)
		return 1u << port->pinned;
	for (unsigned w = 0; node >= 0 && w < placement.conf.n_workers; w++)
		near |= placement.node[w] == node ? 1u << w : 0;
	return near != 0 ? near : all;
}

/** For a queue that is on no worker yet. */
static uint16_t place(const struct port *port)
{
	double load[RCU_WORKERS_MAX] = { 0 };
	unsigned own[RCU_WORKERS_MAX] = { 0 }, count[RCU_WORKERS_MAX] = { 0 },
		 best = RCU_WORKERS_MAX;
	const uint32_t may = allowed(port);

	for (size_t i = 0; i < placement.n_ports; i++) {
		const struct port *other = placement.ports[i];

		for (uint16_t q = 0; q < other->n_rxq; q++) {
			const struct port_rx *rx = &other->rx[q];
			const uint16_t w = rx->moving ? rx->target : rx->worker;

			if (w == PORT_NONE)
				continue;
			load[w] += rx->load;
			count[w]++;
			own[w] += other == port;
		}
	}
	for (unsigned w = 0; w < placement.conf.n_workers; w++) {
		if ((may >> w & 1) == 0)
			continue;
		if (best == RCU_WORKERS_MAX || own[w] < own[best] ||
			(own[w] == own[best] &&
				(load[w] + ALIKE < load[best] ||
					(load[w] <= load[best] + ALIKE && count[w] < count[best]))))
			best = w;
	}
	return (uint16_t)best;
}

/* --- lists ---------------------------------------------------------------------------------------------------- */

static struct rx_list *list_new(size_t queues)
{
	struct rx_list *list;

	list = calloc(1, sizeof(*list) + queues * (sizeof(list->queues[0]) + sizeof(list->hot[0])));
	if (list == NULL)
		abort();
	list->serial = ++placement.serial;
	list->hot = (uint16_t *)&list->queues[queues];
	return list;
}

static bool same(const struct rx_list *a, const struct rx_list *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->queues[i].rx != b->queues[i].rx || a->queues[i].fd != b->queues[i].fd)
			return false;
	}
	return true;
}

/** Give a worker the list of what is placed on it, if that is not what it has. */
static void publish(unsigned id)
{
	struct worker *w = placement.conf.workers[id];
	struct rx_list *list;
	size_t queues = 0;

	for (size_t i = 0; i < placement.n_ports; i++)
		queues += placement.ports[i]->n_rxq;
	list = list_new(queues);
	for (size_t i = 0; i < placement.n_ports; i++) {
		struct port *port = placement.ports[i];

		for (uint16_t q = 0; q < port->n_rxq; q++) {
			if (port->rx[q].worker != id || port->rx[q].moving)
				continue;
			list->queues[list->count++] = (struct rx_queue){ port, &port->rx[q], q,
				port->ops->rx_fd != NULL ? port->ops->rx_fd(port, q) : -1 };
		}
	}
	if (rcu_own(&w->rx_list) != NULL && same(list, rcu_own(&w->rx_list))) {
		free(list);
		return;
	}
	rcu_retire(rcu_publish(&w->rx_list, list), free);
	placement.conf.wake(id);
}

/** After a grace period: nobody polls it now. */
static void hand_over(void *arg)
{
	struct port_rx *rx = arg;
	const struct port *port = port_get(rx->id);
	const struct worker *old = placement.conf.workers[rx->worker];

	if (port != NULL && port->ops->rx_fd != NULL && port->rx <= rx &&
		port->rx + port->n_rxq > rx)
		epoll_ctl(old->epoll_fd, EPOLL_CTL_DEL,
			port->ops->rx_fd((struct port *)(uintptr_t)port, rx->queue), NULL);
	rx->cold = rx->moving = false;
	rx->debt = 0;
	rx->worker = rx->target;
	rx->moves++;
	publish(rx->worker);
}

static void move(const struct port *port, struct port_rx *rx, uint16_t to)
{
	LOG_DEBUG("queue moves port=%s queue=%u from=%u to=%u load=%.2f", port->name, rx->queue,
		rx->worker, to, rx->load);
	rx->target = to;
	rx->moving = true;
	publish(rx->worker);
	rcu_retire(rx, hand_over);
	/* A grace period usually is microseconds, and packets are waiting. */
	for (unsigned i = 0; i < HANDOVER_POLLS && rx->moving; i++) {
		usleep(HANDOVER_US);
		rcu_reclaim();
	}
}

/** Queues that may not be where they are. */
static void obey_pins(void)
{
	for (size_t i = 0; i < placement.n_ports; i++) {
		struct port *port = placement.ports[i];
		const uint32_t may = allowed(port);

		for (uint16_t q = 0; q < port->n_rxq; q++) {
			struct port_rx *rx = &port->rx[q];

			if (!rx->moving && rx->worker != PORT_NONE && (may >> rx->worker & 1) == 0)
				move(port, rx, place(port));
		}
	}
}

/** There is another file behind the descriptors. Its next packet is an event, whether the queue is hot or cold. */
static void rewatch(struct port *port)
{
	for (uint16_t q = 0; q < port->n_rxq && port->ops->rx_fd != NULL; q++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT,
			.data.u64 = (uint64_t)port->id << 16 | q };
		const struct port_rx *rx = &port->rx[q];

		if (rx->worker != PORT_NONE && !rx->moving)
			epoll_ctl(placement.conf.workers[rx->worker]->epoll_fd, EPOLL_CTL_ADD,
				port->ops->rx_fd(port, q), &ev);
	}
}

void placement_ports(struct port *const *list, size_t count)
{
	memcpy(placement.ports, list, count * sizeof(list[0]));
	placement.n_ports = count;
	for (size_t i = 0; i < count; i++) {
		if (list[i]->renewed)
			rewatch(list[i]);
		for (uint16_t q = 0; q < list[i]->n_rxq; q++) {
			if (list[i]->rx[q].worker == PORT_NONE)
				list[i]->rx[q].worker = place(list[i]);
		}
	}
	for (unsigned w = 0; w < placement.conf.n_workers; w++)
		publish(w);
}

/* --- measuring ------------------------------------------------------------------------------------------------ */

static void measure(struct port_rx *rx, double ticks)
{
	const uint64_t packets = atomic_load_explicit(&rx->packets, memory_order_relaxed);
	const uint64_t cycles = atomic_load_explicit(&rx->cycles, memory_order_relaxed);

	rx->load += SMOOTHING * ((double)(cycles - rx->seen_cycles) / ticks - rx->load);
	rx->rate += SMOOTHING *
		    ((double)(packets - rx->seen_packets) * (double)rte_get_tsc_hz() / ticks -
			    rx->rate);
	rx->seen_packets = packets;
	rx->seen_cycles = cycles;
}

static size_t view(double ticks)
{
	size_t n = 0;

	for (size_t i = 0; i < placement.n_ports; i++) {
		struct port *port = placement.ports[i];
		const uint32_t may = allowed(port);

		for (uint16_t q = 0; q < port->n_rxq; q++) {
			struct port_rx *rx = &port->rx[q];

			measure(rx, ticks);
			placement.viewed[n] = rx;
			placement.view[n++] = (struct placement_queue){ rx->load,
				rx->moving ? 0 : may, rx->moving ? rx->target : rx->worker };
		}
	}
	return n;
}

void placement_tick(void)
{
	const uint64_t now = rte_rdtsc();
	unsigned to;
	size_t which, n;

	if (now == placement.measured_tsc)
		return;
	obey_pins();
	n = view((double)(now - placement.measured_tsc));
	placement.measured_tsc = now;
	for (unsigned moves = 0;
		placement_choose(placement.view, n, placement.conf.n_workers, &which, &to);
		moves++) {
		if (moves == MOVES_MAX || (moves == 0 && ++placement.waiting < PATIENCE))
			return;
		move(port_get(placement.viewed[which]->id), placement.viewed[which], (uint16_t)to);
		placement.view[which].worker = (uint16_t)to;
		/* The next ones sooner: it is the same imbalance, in part. */
		placement.waiting = PATIENCE - 2;
	}
	placement.waiting = 0;
}

void placement_init(const struct placement_conf *conf)
{
	memset(&placement, 0, sizeof(placement));
	placement.conf = *conf;
	placement.measured_tsc = rte_rdtsc();
	for (unsigned w = 0; w < conf->n_workers; w++) {
		const int cpu = conf->workers[w]->cpu;

		placement.node[w] = cpu >= 0 && numa_available() >= 0 ? numa_node_of_cpu(cpu) : -1;
		rcu_publish(&conf->workers[w]->rx_list, list_new(0));
	}
}

void placement_fini(void)
{
	for (unsigned w = 0; w < placement.conf.n_workers; w++)
		free(rcu_publish(&placement.conf.workers[w]->rx_list, NULL));
	placement.conf.n_workers = 0;
}
