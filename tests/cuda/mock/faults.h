/* Addresses that a kernel must not touch, where the processor notices. */
#ifndef FT_MOCK_FAULTS_H
#define FT_MOCK_FAULTS_H

#include <csignal>

/* While one lives, a fault of this thread calls on_fault(address), which does not return: it
 * switches to another stack. */
class Faults
{
  public:
    explicit Faults(void (*on_fault)(const void *address));
    ~Faults();
    Faults(const Faults &) = delete;

  private:
    stack_t earlier_stack;
    struct sigaction earlier_actions[2];
};

#endif
