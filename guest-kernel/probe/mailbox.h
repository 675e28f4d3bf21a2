/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The contract between the probe and the VMM in served mode, in one place.
 *
 * Each vCPU owns the page MAILBOX_BASE + MAILBOX_STRIDE * cpu, an array of little endian
 * u64 words. The vCPU writes a u32 to DOORBELL_PORT and the exit is the hand-over:
 *
 *   DOORBELL_NEXT       The reply to the last command is in the page. Put the next request
 *                       there, then let the vCPU go on. The first time STATUS_BOOTED stands
 *                       in place of a reply.
 *   DOORBELL_EXCEPTION  The command hit a CPU exception. The page holds STATUS_EXCEPTION and
 *                       the details already; DOORBELL_NEXT follows with the same reply.
 *   DOORBELL_PANIC      An exception outside a command: the vCPU has stopped for good. The
 *                       page holds STATUS_EXCEPTION and the details.
 *
 * Request: [MAILBOX_REQUEST] the opcode, then 7 arguments.
 * Reply:   [MAILBOX_STATUS] the status, then [MAILBOX_RESULTS] 15 results (unused: 0).
 *
 * crates/probe/src/mailbox.rs says the same in Rust; a test there reads this file. Only plain
 * numbers, therefore, and one `#define` a line.
 */
#ifndef PROBE_MAILBOX_H
#define PROBE_MAILBOX_H

#define DOORBELL_PORT 0xBA
#define DOORBELL_NEXT 1
#define DOORBELL_EXCEPTION 2
#define DOORBELL_PANIC 3

#define MAILBOX_BASE 0x10000
#define MAILBOX_STRIDE 0x1000
#define MAILBOX_REQUEST 0
#define MAILBOX_REQUEST_WORDS 8
#define MAILBOX_STATUS 64
#define MAILBOX_RESULTS 65
#define MAILBOX_RESULT_WORDS 15
#define MAX_CPUS 64

/* Opcodes: arguments in order -> results in order. Lengths and offsets are in bytes. */

/* value -> value */
#define OP_ECHO 1
/* -> cpus up, the answering cpu's number */
#define OP_CPUS 2
/* address, width (1, 2, 4, 8) -> value */
#define OP_READ 3
/* address, width, value -> */
#define OP_WRITE 4
/* address, length, pattern, step: u32 word k becomes pattern + k * step -> */
#define OP_FILL 5
/* address, length, pattern, step -> mismatches (words), first offset, first value */
#define OP_VERIFY 6
/* from, to, length: u32 by u32 -> */
#define OP_COPY 7
/* edu BAR, source, destination, length, direction (EDU_*) -> */
#define OP_EDU_START 8
/* edu BAR -> busy (0, 1) */
#define OP_EDU_BUSY 9
/* edu BAR, longest wait in ns -> looks taken */
#define OP_EDU_WAIT 10
/* ns -> */
#define OP_SLEEP 11
/* page, outage word, stop word (0: none), pause in ns, iterations, reset value, seed -> HAMMER_* */
#define OP_HAMMER 12
/* no reply, ever */
#define OP_HALT 13
/* no result: executes an undefined instruction, to see that exceptions are reported */
#define OP_TRAP 14
/* outage word, address, bell (0: none), its value, stop word (0: none), pause in ns, longest wait
   in ns -> WATCH_* */
#define OP_WATCH 15

/* table of places (a u64 address and a u64 value each), its entries, accesses, seed, address of
   ECAM (0: no ports), stop word
   (0: none) -> SCRIBBLE_* */
#define OP_SCRIBBLE 16

/* OP_EDU_START's direction, as edu's command register has it. */
#define EDU_FROM_MEMORY 0
#define EDU_TO_MEMORY 1

/* The outage word is 4 * generation + phase. */
#define PHASE_LIVE 0
#define PHASE_CLOSING 1
#define PHASE_OUT 2
#define PHASE_OPENING 3

/* Which result word of OP_HAMMER is what; the last six describe the first violation. */
#define HAMMER_ITERATIONS 0
#define HAMMER_LIVE_OK 1
#define HAMMER_OUT_ONES 2
#define HAMMER_AMBIGUOUS_ONES 3
#define HAMMER_AMBIGUOUS_VALUE 4
#define HAMMER_AMBIGUOUS_INITIAL 5
#define HAMMER_VIOLATIONS 6
#define HAMMER_STOPPED 7
#define HAMMER_FIRST_BEFORE 8
#define HAMMER_FIRST_AFTER 9
#define HAMMER_FIRST_WRITTEN 10
#define HAMMER_FIRST_READ 11
#define HAMMER_FIRST_OFFSET 12

/* Which result word of OP_WATCH is what; the three in the middle only if it was seen. */
#define WATCH_SEEN 0
#define WATCH_VALUE 1
#define WATCH_BEFORE 2
#define WATCH_AFTER 3
#define WATCH_LOOKS 4

/* Which result word of OP_SCRIBBLE is what. */
#define SCRIBBLE_ACCESSES 0
#define SCRIBBLE_READS 1
#define SCRIBBLE_WRITES 2
#define SCRIBBLE_PORTS 3
#define SCRIBBLE_ONES 4
#define SCRIBBLE_STOPPED 5
/* The longest table. */
#define SCRIBBLE_MOST_PLACES 4096

/* How a page is walked: this many u32 cells, this many bytes apart. */
#define HAMMER_CELLS 64
#define HAMMER_CELL_STRIDE 64
/* An iteration's number is the value it writes; all ones means "nobody answered". */
#define HAMMER_MOST_ITERATIONS 0xFFFFFFFE

#define STATUS_OK 0
#define STATUS_BAD_OPCODE 1
/* A width, alignment, length or address no command can work with. */
#define STATUS_BAD_ARGUMENT 2
/* results: vector, error code, rip, cr2 */
#define STATUS_EXCEPTION 3
/* The device answers all ones. */
#define STATUS_GONE 4
#define STATUS_TIMED_OUT 5
/* More high memory was touched than there are page directories for. */
#define STATUS_NO_PAGE_TABLES 6
/* The first doorbell: no command has run yet. */
#define STATUS_BOOTED 7

#endif
