/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Entries for exceptions and the two interrupts, and the way back out of an exception. */
#include "layout.h"

        .text
        .code64

        /* An exception never returns to where it happened: no register is worth saving. */
exception_common:
        movq %rsp, %rdi
        andq $-16, %rsp
        call exception
        ud2

        /* The CPU pushes an error code for these vectors alone; the rest get a zero. */
#define HAS_ERROR_CODE(n) ((0x60227D00 >> (n)) & 1)

        .altmacro
        .macro exception_entry vector
entry_\vector:
        .if HAS_ERROR_CODE(\vector) == 0
        pushq $0
        .endif
        pushq $\vector
        jmp exception_common
        .endm
        .set number, 0
        .rept 32
        exception_entry %number
        .set number, number + 1
        .endr

        .globl timer_entry, spurious_entry
timer_entry:
        incq %gs:CPU_TICKS
        pushq %rax
        movl $(LAPIC + LAPIC_EOI), %eax
        movl $0, (%rax)
        popq %rax
spurious_entry:
        iretq

        /* long guarded_call(void (*work)(void *), void *argument) */
        .globl guarded_call, guarded_recover
guarded_call:
        pushq %rbx
        pushq %rbp
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        subq $8, %rsp
        movq %rsp, %gs:CPU_RECOVER
        movq %rdi, %rax
        movq %rsi, %rdi
        call *%rax
        xorl %eax, %eax
        jmp guarded_return
guarded_recover:
        movq %gs:CPU_RECOVER, %rsp
        movl $1, %eax
guarded_return:
        movq $0, %gs:CPU_RECOVER
        addq $8, %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbp
        popq %rbx
        ret

        .section .rodata
        .balign 8
        .globl exception_entries
exception_entries:
        .macro entry_address vector
        .quad entry_\vector
        .endm
        .set number, 0
        .rept 32
        entry_address %number
        .set number, number + 1
        .endr
