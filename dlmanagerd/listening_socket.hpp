#pragma once

#include "shared/file_descriptor.hpp"

#include <string>
#include <sys/socket.h>
#include <sys/types.h>

namespace dlhandoff::service {

/// A Unix socket of the service, where httpd's workers connect, or its admin: a file of mode
/// 0660 in the file system.
///
/// One process listens at a path. While it does, it holds flock(2) on PATH.lock, so that two that start at
/// the same time can't both believe that the socket file of a dead one is theirs to replace. The socket file
/// of a dead manager is taken over, one that somebody listens at is left alone, and so is anything that is
/// not a socket.
class listening_socket {
  public:
    /// Binds and listens. Throws std::runtime_error whose text says what is in the way and what to do.
    /// `way_out`: what else to do if something lies there. `type`: as of socket(2).
    explicit listening_socket(const std::string& path,
                              std::string way_out = "give another path with --listen",
                              int type = SOCK_SEQPACKET);
    /// Stops listening; removes the socket file, if it is still the one made here, and the lock.
    ~listening_socket();
    listening_socket(const listening_socket&) = delete;
    listening_socket& operator=(const listening_socket&) = delete;

    /// Non-blocking.
    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

  private:
    void take_lock();
    void remove_stale() const;
    void bind_and_listen();
    [[noreturn]] void refuse_live() const;

    std::string path_;
    std::string lock_path_;
    std::string way_out_;
    int type_;
    file_descriptor lock_;
    file_descriptor socket_;
    dev_t device_ = 0; ///< with inode_: the socket file that was made here
    ino_t inode_ = 0;
};

} // namespace dlhandoff::service
