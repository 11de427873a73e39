#pragma once

#include "engine/clock.hpp"
#include "engine/limits/keyed_hash.hpp"
#include "shared/offer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>

namespace dlhandoff::engine {

/// What `DLHandoffRate RATE after SIZE` lets go first at full speed, counted by client and file, so that a
/// client that breaks off and asks for the next range does not have it anew each time.
///
/// A token bucket for each client key and file: it holds `pace::after` bytes, everything that the client is
/// sent of the file is taken from it, paced or not, and `pace::rate` comes back. So by downloads one after
/// another a client gets no more of a file than `after` bytes, and `rate` times the time since the first.
/// Downloads at the same time share the bucket; the rate is each one's own.
///
/// A bucket that is full again is forgotten, since a new one is full too. Of those that nobody downloads by
/// any more `most` are remembered, the latest: forgetting one favours its client.
///
/// One thread. Pure: every time is the caller's.
class burst_allowance {
  public:
    /// Some 100 bytes each.
    static constexpr std::size_t default_most = 4096;

    explicit burst_allowance(std::size_t most = default_most) : most_(most) {}
    burst_allowance(const burst_allowance&) = delete;
    burst_allowance& operator=(const burst_allowance&) = delete;

    /// A bucket, by what is missing in it.
    class account {
        friend class burst_allowance;
        void refill(std::uint64_t rate, clock::time_point now) noexcept;
        [[nodiscard]] bool is_full(clock::time_point now) noexcept;

        burst_allowance* owner_ = nullptr;
        std::uint64_t hash_ = 0;
        double used_ = 0; ///< bytes, at refilled_
        clock::time_point refilled_{};
        std::uint64_t rate_ = 0; ///< at which they come back, bytes a second
        std::size_t users_ = 0;
        account* older_ = nullptr; ///< while it is unused
        account* newer_ = nullptr;
    };
    struct account_closer {
        void operator()(account* open) const noexcept;
    };
    /// A download's hold on its client's bucket; must go before the burst_allowance does.
    using handle = std::unique_ptr<account, account_closer>;

    /// Throws std::bad_alloc; the first call also std::system_error, if the system has no random bytes.
    [[nodiscard]] handle open(std::string_view client_key, std::uint64_t device, std::uint64_t inode,
                              clock::time_point now);

    /// Bytes that may go at full speed now.
    [[nodiscard]] static std::uint64_t left(account& of, const pace& speed, clock::time_point now) noexcept;
    static void spend(account& of, const pace& speed, std::uint64_t bytes, clock::time_point now) noexcept;

    /// Buckets that are in use or remembered.
    [[nodiscard]] std::size_t size() const noexcept { return accounts_.size(); }

  private:
    struct already_hashed {
        std::size_t operator()(std::uint64_t hash) const noexcept { return hash; }
    };
    void close(account& one) noexcept;
    void forget_oldest() noexcept;
    void take_from_unused(account& one) noexcept;

    std::size_t most_;
    std::size_t unused_ = 0;
    account* oldest_ = nullptr; ///< the unused ones, linked, in the order in which they were left
    account* latest_ = nullptr;
    hash_key key_{}; ///< random from the first open() on
    std::unordered_map<std::uint64_t, account, already_hashed> accounts_;
};

} // namespace dlhandoff::engine
