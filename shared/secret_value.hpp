#pragma once

#include <cstring>
#include <type_traits>

namespace dlhandoff {

/// Holds a secret value, such as keys, and wipes it when it is destroyed, whichever way a function is left. A
/// copy is a secret of its own. A pool that never runs destructors must have wipe() called.
template <class Value>
class secret_value {
    static_assert(std::is_trivially_copyable_v<Value>);

  public:
    secret_value() noexcept = default;
    explicit secret_value(const Value& value) noexcept : value_(value) {}
    secret_value(const secret_value&) noexcept = default;
    secret_value& operator=(const secret_value&) noexcept = default;
    ~secret_value() { wipe(); }

    [[nodiscard]] Value& operator*() noexcept { return value_; }
    [[nodiscard]] const Value& operator*() const noexcept { return value_; }
    [[nodiscard]] Value* operator->() noexcept { return &value_; }
    [[nodiscard]] const Value* operator->() const noexcept { return &value_; }

    /// Sets all its bytes to zero.
    void wipe() noexcept { ::explicit_bzero(static_cast<void*>(&value_), sizeof value_); }

  private:
    Value value_{};
};

} // namespace dlhandoff
