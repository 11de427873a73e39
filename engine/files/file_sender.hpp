#pragma once

#include "engine/write_step.hpp"
#include "shared/offer.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dlhandoff::engine {

class shared_file;

/// Gives bytes of files to clients' sockets, as the kernel takes them: with sendfile(2), or through a buffer
/// where sendfile is not to be trusted. The file is checked each time (file_state.hpp). One thread.
class file_sender {
  public:
    struct result {
        write_step step = write_step::sent; ///< `failed`: the file system failed, with `error`
        std::uint64_t bytes = 0;            ///< those that the socket took, even if it then was full
        int error = 0;                      ///< errno
    };

    /// Sends up to `count` (at least 1) bytes of the file from `offset` on. Never waits for the client, but
    /// waits for the disk if the bytes are not in memory. `client` must be non-blocking, since sendfile(2)
    /// has no MSG_DONTWAIT. Throws std::bad_alloc.
    [[nodiscard]] result send(int client, const shared_file& file, std::uint64_t offset, std::uint64_t count,
                              const reading_terms& how);

  private:
    [[nodiscard]] static result send_directly(int client, const shared_file& file, std::uint64_t offset,
                                              std::uint64_t count, file_check check) noexcept;
    [[nodiscard]] result send_copied(int client, const shared_file& file, std::uint64_t offset,
                                     std::uint64_t count, file_check check);

    std::vector<std::uint8_t> buffer_; ///< made when it is first needed
};

} // namespace dlhandoff::engine
