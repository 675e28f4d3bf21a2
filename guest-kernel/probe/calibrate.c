// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * How fast is the local APIC's timer? Served mode is told; a probe that is alone measures it
 * against the PIT or else the ACPI PM timer, whichever ticks, and assumes 1 GHz if none does.
 */
#include "probe.h"

#define PIT_HZ 1193182
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_GATE 0x61
#define PM_HZ 3579545
/* Where firmware puts it on a q35 machine. */
#define PM_TIMER_DEFAULT 0x608

#define MEASURE_PER_S 100 /* one hundredth of a second */
/* A clock that has not moved after so many looks does not tick. */
#define PATIENCE 1000
/* Nor does one that has not come this far after so many. */
#define LONGEST_PATIENCE 10000000

typedef u32 (*clock_reader)(void);

static u16 pm_port;

static u32 read_pit(void)
{
    u32 low;

    outb(PIT_COMMAND, 0x80); /* latch channel 2 */
    low = inb(PIT_CHANNEL2);
    return (0x10000 - (low | (u32)inb(PIT_CHANNEL2) << 8)) & 0xFFFF;
}

static u32 read_pm_timer(void)
{
    return inl(pm_port) & 0xFFFFFF;
}

static void start_pit(void)
{
    outb(PIT_GATE, (inb(PIT_GATE) & ~2) | 1); /* gate on, speaker off */
    outb(PIT_COMMAND, 0xB4);                  /* channel 2, both bytes, mode 2 */
    outb(PIT_CHANNEL2, 0);
    outb(PIT_CHANNEL2, 0);
}

/* APIC timer ticks per second by a clock that counts up to `mask`; 0 if it stands still. */
static u64 measure(clock_reader clock, u32 mask, u32 hz)
{
    u32 start = clock(), passed = 0;
    u64 ticks;

    apic_start_countdown(0xFFFFFFFF);
    for (unsigned looks = 0; passed < hz / MEASURE_PER_S; looks++) {
        passed = (clock() - start) & mask;
        if (looks > LONGEST_PATIENCE || (looks > PATIENCE && !passed))
            return 0;
    }
    ticks = 0xFFFFFFFF - apic_countdown();
    apic_start_countdown(0);
    return ticks * hz / passed;
}

/* Absent hardware answers all ones, or noise: nothing outside this range is a real APIC. */
static int plausible(u64 hz)
{
    return hz > 1000000 && hz < 10 * NS_PER_S;
}

void calibrate(void)
{
    u64 hz = cmdline_number("apic_hz", 0);
    const char *by = "as told";

    if (!hz) {
        by = "by the PIT";
        start_pit();
        hz = measure(read_pit, 0xFFFF, PIT_HZ);
    }
    if (!plausible(hz)) {
        by = "by the PM timer";
        pm_port = cmdline_number("pm_timer", PM_TIMER_DEFAULT);
        hz = measure(read_pm_timer, 0xFFFFFF, PM_HZ);
    }
    if (!plausible(hz)) {
        by = "assumed";
        hz = NS_PER_S;
    }
    apic_hz = hz;
    say("probe: apic timer %d Hz, %s\n", hz, by);
}
