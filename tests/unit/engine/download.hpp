#pragma once

#include "engine/engine.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dlhandoff::test {

/// A TCP connection over 127.0.0.1: both ends.
struct tcp_pair {
    tcp_pair();
    file_descriptor client; ///< blocking
    file_descriptor server; ///< as a worker would hand it over
};

/// A file that is gone with the object, made of bytes that tell their place.
class sample_file {
  public:
    explicit sample_file(std::size_t size);
    ~sample_file();
    sample_file(const sample_file&) = delete;
    sample_file& operator=(const sample_file&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] const std::string& content() const noexcept { return content_; }
    [[nodiscard]] file_identity identity() const;
    [[nodiscard]] file_descriptor open() const;

    /// What happens to files: bytes are added; the time is set to one of its own, since two writes within the
    /// clock's tick have the same.
    void append(std::string_view bytes) const;
    void touch() const;
    void shorten(std::size_t size) const;

  private:
    std::string path_;
    std::string content_;
};

[[nodiscard]] std::span<const std::byte> bytes_of(std::string_view text) noexcept;

/// An offer of head and pieces of one file.
[[nodiscard]] offer make_offer(std::string_view head, const sample_file& file,
                               std::vector<plan_piece> pieces = {}, const return_terms& back = {},
                               const reading_terms& reading = {});

/// A transfer log in memory that can be read while it grows.
class readable_log {
  public:
    readable_log();
    /// One that writes to it.
    [[nodiscard]] engine::transfer_log writer() const;
    /// Its lines so far.
    [[nodiscard]] std::vector<std::string> lines() const;

  private:
    file_descriptor file_;
};

/// An engine with its loop, whose transfer log can be read.
class running_engine {
  public:
    explicit running_engine(engine::engine_options options = {});

    /// Checks, claims and begins; fails the test if it is refused.
    void begin(offer offered, std::vector<file_descriptor> descriptors);

    /// Runs the loop until `done`, or fails when the time is up.
    [[nodiscard]] bool run_until(const std::function<bool()>& done,
                                 std::chrono::seconds within = std::chrono::seconds(10));

    /// The log's lines so far.
    [[nodiscard]] std::vector<std::string> log_lines() const { return log_.lines(); }

  private:
    readable_log log_;

  public:
    engine::event_loop loop;
    dlhandoff::engine::engine engine;
};

/// Reads what is there without waiting, into `into`; false at the end of file or at an error.
bool read_available(int socket, std::string& into, std::size_t most = SIZE_MAX);

} // namespace dlhandoff::test
