#pragma once

#include "shared/file_descriptor.hpp"

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <sys/types.h>
#include <type_traits>

namespace dlhandoff::bench {

/// How long a role waits for a word of another at most: what bounds every benchmark here.
inline constexpr int patience_seconds = 300;

/// One end of a conversation between two processes: values, each sent whole. Throws std::runtime_error when
/// the other end is gone, std::system_error otherwise.
class channel {
  public:
    explicit channel(file_descriptor socket) : socket_(std::move(socket)) {}

    template <class Value>
    void tell(const Value& value) const {
        static_assert(std::is_trivially_copyable_v<Value>);
        send({reinterpret_cast<const std::byte*>(&value), sizeof value});
    }
    template <class Value>
    [[nodiscard]] Value hear() const {
        static_assert(std::is_trivially_copyable_v<Value>);
        Value value;
        receive({reinterpret_cast<std::byte*>(&value), sizeof value});
        return value;
    }
    /// Whether something has been said that hear() would return at once.
    [[nodiscard]] bool heard() const;
    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

  private:
    void send(std::span<const std::byte> bytes) const;
    void receive(std::span<std::byte> bytes) const;
    file_descriptor socket_;
};

/// A process forked to play one part of a benchmark (a server, its clients), so that each part's time and
/// memory can be told apart. It dies with its parent.
class role {
  public:
    using part = std::function<void(channel& parent)>;
    role(std::string name, const part& play);
    /// Ends it if it still runs.
    ~role();
    role(const role&) = delete;
    role& operator=(const role&) = delete;

    [[nodiscard]] channel& talk() noexcept { return channel_; }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  private:
    std::string name_;
    channel channel_;
    pid_t pid_ = -1;
};

} // namespace dlhandoff::bench
