#ifndef POLICYD_GAUGES_H
#define POLICYD_GAUGES_H

/*
 * How much a process holds in memory, as gauges (metric.def): noted once a
 * second, so that any process can tell the sum over all of them.
 */

struct gauges;
struct sources;

struct gauges *gauges_new(struct sources *sources);
void gauges_free(struct gauges *gauges);
/* Notes what this process holds now. */
void gauges_look(struct gauges *gauges);

#endif
