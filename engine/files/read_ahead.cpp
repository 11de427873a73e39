#include "engine/files/read_ahead.hpp"

#include "engine/signal_mask.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <span>
#include <system_error>
#include <unistd.h>

namespace dlhandoff::engine {
namespace {
constexpr std::size_t thread_count = 4;
constexpr std::size_t chunk_size = 128 * 1024;
} // namespace

/// The file and the owner belong to the loop's thread; a pool thread only uses the numbers.
struct read_ahead::request {
    file_reference file;
    int descriptor;
    std::uint64_t offset;
    std::uint64_t length;
    listener* owner;
    std::uint64_t done = 0; ///< bytes that have been read
    int error = 0;

    void read(std::span<std::byte> buffer) noexcept;
};

void read_ahead::request::read(std::span<std::byte> buffer) noexcept {
    for (int fruitless = 0; done < length;) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), length - done));
        const ssize_t got = ::pread(descriptor, buffer.data(), size, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR && ++fruitless < most_fruitless_reads)
            continue;
        if (got < 0) {
            error = errno;
            return;
        }
        if (got == 0)
            break; // an end: whether it may be there is for the transfer to find out
        fruitless = 0;
        done += static_cast<std::uint64_t>(got);
    }
    // The next stretch, without waiting for it: it is read while this one is sent.
    ::posix_fadvise(descriptor, static_cast<off_t>(offset + length), static_cast<off_t>(length),
                    POSIX_FADV_WILLNEED);
}

read_ahead::read_ahead(event_loop& loop)
    : completed_(
          loop, [](void* self) { static_cast<read_ahead*>(self)->complete(); }, this) {}

read_ahead::~read_ahead() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    wanted_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
}

void read_ahead::start_threads() {
    const blocked_signals blocked;
    try {
        while (threads_.size() < thread_count)
            threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
        // Fewer will do; with none at all the loop reads for itself, and may wait for the disk.
    }
}

read_ahead::request* read_ahead::start(file_reference file, std::uint64_t offset, std::uint64_t length,
                                       listener& owner) {
    if (threads_.empty())
        start_threads();
    if (threads_.empty())
        return nullptr;
    const int descriptor = file->descriptor();
    auto one = std::make_unique<request>(request{std::move(file), descriptor, offset, length, &owner, 0, 0});
    request* const started = one.get();
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(one));
    }
    wanted_.notify_one();
    return started;
}

void read_ahead::abandon(request& one) noexcept {
    one.owner = nullptr;
}

void read_ahead::work() {
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(chunk_size);
    std::unique_lock lock(mutex_);
    for (;;) {
        wanted_.wait(lock, [this] { return ending_ || !queue_.empty(); });
        if (ending_)
            return;
        auto one = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        one->read({buffer.get(), chunk_size});
        lock.lock();
        finished_.push_back(std::move(one));
        completed_.notify();
    }
}

void read_ahead::complete() {
    std::vector<std::unique_ptr<request>> finished;
    {
        const std::lock_guard lock(mutex_);
        finished.swap(finished_);
    }
    for (const auto& one : finished)
        if (one->owner != nullptr)
            one->owner->on_read({*one->file, one->offset + one->done, one->error});
}

} // namespace dlhandoff::engine
