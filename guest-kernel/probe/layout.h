/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Numbers that assembly and C have to agree on. */
#ifndef PROBE_LAYOUT_H
#define PROBE_LAYOUT_H

/* Where application processors wake up in real mode: any free page below 1 MiB. */
#define TRAMPOLINE 0x7000

/* Segment selectors of boot.S's GDT. */
#define CODE32 0x08
#define DATA 0x10
#define CODE64 0x18

/* Offsets into struct cpu, reached through %gs. */
#define CPU_INDEX 0
#define CPU_TICKS 8
#define CPU_RECOVER 16

#define STACK_BYTES 4096

#define TIMER_VECTOR 0x20
#define SPURIOUS_VECTOR 0x2F
#define IDT_ENTRIES 0x30

#define LAPIC 0xFEE00000
#define LAPIC_EOI 0x0B0

#endif
