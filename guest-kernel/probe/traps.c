// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* An exception is reported, on serial and to whoever gave the command; it never hangs. */
#include "probe.h"

struct gate {
    u16 offset_low;
    u16 selector;
    u16 flags;
    u16 offset_middle;
    u32 offset_high;
    u32 reserved;
};

struct frame {
    u64 vector, error, rip, cs, rflags, rsp, ss;
};

#define INTERRUPT_GATE 0x8E00

extern const u64 exception_entries[32];
extern void timer_entry(void), spurious_entry(void);

static struct gate idt[IDT_ENTRIES];

static void set_gate(unsigned vector, u64 entry)
{
    idt[vector] = (struct gate){
        .offset_low = entry,
        .selector = CODE64,
        .flags = INTERRUPT_GATE,
        .offset_middle = entry >> 16,
        .offset_high = entry >> 32,
    };
}

void traps_load(void)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) pointer = { sizeof(idt) - 1, (u64)idt };

    /* The first CPU fills the table before any other is up. */
    if (!idt[0].flags) {
        for (unsigned vector = 0; vector < 32; vector++)
            set_gate(vector, exception_entries[vector]);
        set_gate(TIMER_VECTOR, (u64)timer_entry);
        set_gate(SPURIOUS_VECTOR, (u64)spurious_entry);
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void exception(const struct frame *frame)
{
    struct cpu *self = this_cpu();
    u64 details[4] = { frame->vector, frame->error, frame->rip, read_cr2() };

    say("probe: cpu %d: exception %d, error %x, rip %x, cr2 %x\n", self->index, details[0],
        details[1], details[2], details[3]);
    if (!served)
        alone_give_up("exception");
    served_report_exception(details, !self->recover);
    if (self->recover)
        guarded_recover();
    out_of_order();
}
