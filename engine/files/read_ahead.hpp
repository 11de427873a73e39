#pragma once

#include "engine/event_loop.hpp"
#include "engine/files/file_table.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace dlhandoff::engine {

/// A few threads that read cold stretches of files into the page cache, so that the loop's thread never waits
/// for a disk. The threads start with the first request. All functions belong to the loop's thread.
class read_ahead {
  public:
    struct request;

    /// What became of a request. It does not report the end of the file: the transfer will meet that itself.
    struct result {
        const shared_file& file;
        std::uint64_t offset; ///< up to which it has been read
        int error;            ///< errno of the read that failed, 0 if none did
    };

    /// The owner of a request.
    class listener {
      public:
        /// The stretch has been read, or could not be read. Called once for each request.
        virtual void on_read(const result& what) noexcept = 0;

      protected:
        ~listener() = default;
    };

    /// Throws std::system_error.
    explicit read_ahead(event_loop& loop);
    /// Waits for the reads under way.
    ~read_ahead();
    read_ahead(const read_ahead&) = delete;
    read_ahead& operator=(const read_ahead&) = delete;

    /// Asks for [offset, offset + length) of the file. When that is done, `owner` is told, unless the request
    /// was abandoned, and the request is destroyed. Null if no thread can be started.
    [[nodiscard]] request* start(file_reference file, std::uint64_t offset, std::uint64_t length,
                                 listener& owner);

    /// The owner is going away: it will not be called.
    static void abandon(request& one) noexcept;

  private:
    void start_threads();
    void work();
    void complete();

    wake_up completed_;
    std::mutex mutex_;
    std::condition_variable wanted_;
    std::deque<std::unique_ptr<request>> queue_;     ///< guarded by mutex_
    std::vector<std::unique_ptr<request>> finished_; ///< guarded by mutex_
    bool ending_ = false;                            ///< guarded by mutex_
    std::vector<std::thread> threads_;
};

} // namespace dlhandoff::engine
