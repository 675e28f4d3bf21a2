// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The local APIC: a one-shot timer to sleep by, and messages to other CPUs.
 *
 * Sleeping is a halted CPU, never a loop: where time is virtual, a guest that spins makes it
 * expensive and, worse, makes runs differ.
 */
#include "probe.h"

#define SPURIOUS 0x0F0
#define ICR_LOW 0x300
#define ICR_HIGH 0x310
#define LVT_TIMER 0x320
#define LVT_LINT0 0x350
#define LVT_LINT1 0x360
#define INITIAL_COUNT 0x380
#define CURRENT_COUNT 0x390
#define DIVIDE 0x3E0

#define SOFTWARE_ENABLE 0x100
#define MASKED 0x10000
#define DIVIDE_BY_1 0x0B
#define ICR_PENDING 0x1000

#define PIC1_MASK 0x21
#define PIC2_MASK 0xA1

/* What KVM's and QEMU's local APICs run at. */
u64 apic_hz = NS_PER_S;

void apic_enable(void)
{
    /* Firmware may have left the old interrupt controller's timer running. */
    outb(PIC1_MASK, 0xFF);
    outb(PIC2_MASK, 0xFF);
    write32(LAPIC + LVT_LINT0, MASKED);
    write32(LAPIC + LVT_LINT1, MASKED);
    write32(LAPIC + SPURIOUS, SOFTWARE_ENABLE | SPURIOUS_VECTOR);
    write32(LAPIC + DIVIDE, DIVIDE_BY_1);
    write32(LAPIC + LVT_TIMER, TIMER_VECTOR);
}

void apic_start_countdown(u32 ticks)
{
    write32(LAPIC + INITIAL_COUNT, ticks);
}

u32 apic_countdown(void)
{
    return read32(LAPIC + CURRENT_COUNT);
}

void apic_send(u32 to, u32 message)
{
    write32(LAPIC + ICR_HIGH, to << 24);
    write32(LAPIC + ICR_LOW, message);
    while (read32(LAPIC + ICR_LOW) & ICR_PENDING)
        __asm__ volatile("pause");
}

static void sleep_at_most_a_second(u64 ns)
{
    struct cpu *self = this_cpu();
    u64 ticks = ns * (apic_hz / 1000) / (NS_PER_S / 1000);
    u64 before = self->ticks;

    if (ticks == 0)
        ticks = 1;
    apic_start_countdown(ticks > 0xFFFFFFFF ? 0xFFFFFFFF : ticks);
    /* `sti` takes effect after the `hlt` has begun: the tick cannot slip in between. */
    while (self->ticks == before)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
}

void sleep_ns(u64 ns)
{
    while (ns) {
        u64 part = ns < NS_PER_S ? ns : NS_PER_S;
        sleep_at_most_a_second(part);
        ns -= part;
    }
}
