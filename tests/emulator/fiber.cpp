#include "tests/emulator/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "tests/emulator/sanitizer.h"

#if !defined(__x86_64__) || defined(PAL_EMULATOR_UCONTEXT)
#include <ucontext.h>
#endif

namespace emulator::detail {
namespace {

constexpr std::size_t kGuard = 4096;
constexpr std::size_t kStack = 124 * 1024;  // only what is touched takes memory

// Whom the latest switch left: AddressSanitizer tells the bounds of that stack on arrival.
Fiber* left = nullptr;

}  // namespace

#if defined(__x86_64__) && !defined(PAL_EMULATOR_UCONTEXT)

// Saves what the calling convention preserves, changes stacks, restores. A signal mask, which
// swapcontext would save by two system calls, never differs here.
extern "C" void pal_emulator_switch(void** save, void* target);
asm(R"(
.text
.p2align 4
.globl pal_emulator_switch
.type pal_emulator_switch, @function
pal_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size pal_emulator_switch, . - pal_emulator_switch
)");

static void* make_context(char* bottom, std::size_t bytes, void (*entry)()) {
  // Six registers, the address `ret` goes to, and a null return address where backtraces end.
  auto* top = reinterpret_cast<void**>(bottom + bytes);
  std::memset(top - 8, 0, 8 * sizeof(void*));
  top[-2] = reinterpret_cast<void*>(entry);
  return top - 8;
}
static void free_context(void*) {}
static void change_context(void*& from, void* to) { pal_emulator_switch(&from, to); }

#else

static void* make_context(char* bottom, std::size_t bytes, void (*entry)()) {
  auto* context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = bottom;
  context->uc_stack.ss_size = bytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}
static void free_context(void* context) { delete static_cast<ucontext_t*>(context); }
static void change_context(void*& from, void* to) {
  if (!from) from = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from), static_cast<ucontext_t*>(to));
}

#endif

Fiber::Fiber(void (*entry)()) {
  mapping_ = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) throw std::bad_alloc();
  mprotect(mapping_, kGuard, PROT_NONE);
  auto* bottom = static_cast<char*>(mapping_) + kGuard;
  bottom_ = bottom;
  // Tops of stacks at equal offsets in a page would all fall into the same few cache sets.
  static unsigned colour = 0;
  bytes_ = kStack - (colour++ * 5 % 32) * 128;
  context_ = make_context(bottom, bytes_, entry);
}

Fiber::~Fiber() {
  free_context(context_);
  if (mapping_) munmap(mapping_, kGuard + kStack);
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
  left = &from;
#if defined(PAL_EMULATOR_ASAN)
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.bottom_, to.bytes_);
#endif
  change_context(from.context_, to.context_);
#if defined(PAL_EMULATOR_ASAN)
  __sanitizer_finish_switch_fiber(from.fake_stack_, &left->bottom_, &left->bytes_);
#endif
}

void Fiber::entered() {
#if defined(PAL_EMULATOR_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &left->bottom_, &left->bytes_);
#endif
}

}  // namespace emulator::detail
