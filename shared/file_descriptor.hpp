#pragma once

#include <system_error>
#include <utility>

namespace dlhandoff {

/// The only owner of an open file descriptor: its destructor closes it.
///
/// Functions that only look at or use a descriptor take an `int`; those that take a `file_descriptor` by
/// value take ownership. No more thread-safe than an int.
class file_descriptor {
  public:
    file_descriptor() noexcept = default;
    explicit file_descriptor(int number) noexcept : number_(number) {}
    file_descriptor(file_descriptor&& other) noexcept : number_(other.release()) {}
    file_descriptor& operator=(file_descriptor&& other) noexcept {
        reset(other.release());
        return *this;
    }
    file_descriptor(const file_descriptor&) = delete;
    file_descriptor& operator=(const file_descriptor&) = delete;
    ~file_descriptor() { reset(); }

    /// A second descriptor for the same open file description, close-on-exec.
    /// Invalid, with errno set, when the process has no descriptor left.
    [[nodiscard]] static file_descriptor duplicate_of(int number) noexcept;

    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] bool valid() const noexcept { return number_ >= 0; }
    explicit operator bool() const noexcept { return valid(); }

    /// Gives the number up without closing it.
    [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }
    void reset(int number = -1) noexcept;

  private:
    int number_ = -1;
};

/// Throws the errno of the call that has just failed, as an exception that names the call:
/// "bind(/run/x.sock): Address in use".
[[noreturn]] void throw_errno(const char* what);

} // namespace dlhandoff
