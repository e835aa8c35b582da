/* How OpenMP's threads wait for each other. */
#ifndef FT_BACKEND_CPU_WAITING_H
#define FT_BACKEND_CPU_WAITING_H

/* From the next team on threads are to fall asleep soon where they wait. */
void ft_cpu_want_brief_waits(void);

/* Before a team of so many threads works: sees to that, if it is wanted. */
void ft_cpu_make_waits_brief(int threads);

#endif
