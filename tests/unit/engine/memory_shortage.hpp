#pragma once

namespace dlhandoff::test {

/// While it lives, this thread's operator new gives so many more pieces of memory, and then throws.
class memory_shortage {
  public:
    explicit memory_shortage(int after) noexcept;
    ~memory_shortage();
    memory_shortage(const memory_shortage&) = delete;
    memory_shortage& operator=(const memory_shortage&) = delete;
    /// Whether it has thrown.
    [[nodiscard]] static bool felt() noexcept;
};

} // namespace dlhandoff::test
