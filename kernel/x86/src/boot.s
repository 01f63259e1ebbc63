    .section .boot.header, "a"
    .balign 8
header_start:
    .long 0xe85250d6                            # Multiboot2
    .long 0                                     # i386, protected mode
    .long header_end - header_start
    .long -(0xe85250d6 + (header_end - header_start))
    .short 0, 0                                 # end tag
    .long 8
header_end:

    .section .boot.data, "aw"
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff                    # 0x08: 64-bit code
    .quad 0x00cf92000000ffff                    # 0x10: data
boot_gdt_pointer:
    .short . - boot_gdt - 1
    .long boot_gdt

    .section .boot.bss, "aw", @nobits
    .balign 4096
boot_pml4:
    .skip 4096
boot_pdpt_low:
    .skip 4096
boot_pdpt_high:
    .skip 4096
boot_pd:
    .skip 4 * 4096

    .section .boot.text, "ax"
    .code32
    .global boot_entry
boot_entry:
    cli
    cld
    cmpl $0x36d76289, %eax
    jne boot_refuse
    movl %ebx, %edi                             # the boot information, kept through cpuid

    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb boot_refuse
    movl $0x80000001, %eax
    cpuid
    andl $((1 << 29) | (1 << 20)), %edx         # long mode and no-execute are both needed
    cmpl $((1 << 29) | (1 << 20)), %edx
    jne boot_refuse

    xorl %ecx, %ecx                             # 2048 pages of 2 MiB: 4 GiB
boot_fill:
    movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, boot_pd(,%ecx,8)
    movl $0, boot_pd+4(,%ecx,8)
    incl %ecx
    cmpl $2048, %ecx
    jne boot_fill

    movl $(boot_pd + 3), %eax
    movl %eax, boot_pdpt_low
    movl %eax, boot_pdpt_high + 510 * 8
    addl $4096, %eax
    movl %eax, boot_pdpt_low + 8
    addl $4096, %eax
    movl %eax, boot_pdpt_low + 16
    addl $4096, %eax
    movl %eax, boot_pdpt_low + 24
    movl $(boot_pdpt_low + 3), %eax
    movl %eax, boot_pml4
    movl %eax, boot_pml4 + 256 * 8
    movl $(boot_pdpt_high + 3), %eax
    movl %eax, boot_pml4 + 511 * 8

    movl %cr4, %eax
    orl $(1 << 5), %eax                         # PAE
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx                      # EFER: LME and NXE
    rdmsr
    orl $((1 << 8) | (1 << 11)), %eax
    wrmsr
    movl %cr0, %eax
    orl $((1 << 31) | (1 << 16)), %eax          # PG and WP
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $0x08, $boot_long

boot_refuse:                                    # not our loader, or not our processor: 'X' on COM1 and stop
    movw $0x3f8, %dx
    movb $'X', %al
    outb %al, %dx
boot_stop:
    hlt
    jmp boot_stop

    .code64
boot_long:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movabsq $__boot_stack_end, %rsp
    xorl %ebp, %ebp                             # ends the chain of frame pointers
    movl %edi, %edi                             # the argument, its upper half cleared
    pushq $0                                    # no return address
    movabsq $kernel_start, %rax
    jmpq *%rax
