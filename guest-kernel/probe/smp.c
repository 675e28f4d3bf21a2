// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* Starting the other CPUs: INIT, SIPI, SIPI. A CPU's number is its APIC ID. */
#include "probe.h"

#define ICR_INIT 0x4500
#define ICR_STARTUP (0x4600 | (TRAMPOLINE >> 12))

#define LOOK_EVERY_NS (50 * NS_PER_US)
#define SECOND_SIPI_AFTER 20  /* looks */
#define GIVE_UP_AFTER 4000    /* looks */

extern const u8 trampoline[], trampoline_end[];
extern volatile u32 starting_cpu;

static int start(u64 cpu)
{
    starting_cpu = cpu;
    apic_send(cpu, ICR_INIT);
    sleep_ns(LOOK_EVERY_NS);
    apic_send(cpu, ICR_STARTUP);
    for (unsigned looks = 0; looks < GIVE_UP_AFTER; looks++) {
        if (cpus[cpu].up)
            return 1;
        if (looks == SECOND_SIPI_AFTER)
            apic_send(cpu, ICR_STARTUP);
        sleep_ns(LOOK_EVERY_NS);
    }
    return 0;
}

void smp_start(u64 wanted)
{
    if (wanted <= 1)
        return;
    for (u64 i = 0; i < (u64)(trampoline_end - trampoline); i++)
        ((volatile u8 *)TRAMPOLINE)[i] = trampoline[i];
    for (u64 cpu = 1; cpu < wanted && cpu < MAX_CPUS; cpu++) {
        if (!start(cpu)) {
            say("probe: cpu %d did not start\n", cpu);
            return;
        }
    }
}

u64 smp_up(void)
{
    u64 up = 0;
    for (u64 cpu = 0; cpu < MAX_CPUS; cpu++)
        up += cpus[cpu].up;
    return up;
}
