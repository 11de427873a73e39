#pragma once

#include "engine/files/file_sender.hpp"
#include "engine/tls/tls_workplace.hpp"

#include <memory>

namespace dlhandoff::engine {

/// What all channels of a thread work with. The TLS part is made when a channel first asks for it.
class channel_workplace {
  public:
    /// The first call may throw std::bad_alloc.
    [[nodiscard]] tls_workplace& tls() {
        if (!tls_)
            tls_ = std::make_unique<tls_workplace>();
        return *tls_;
    }
    /// Forgets the keys that were used last.
    void wipe_keys() noexcept {
        if (!tls_)
            return;
        tls_->sealing.wipe();
        tls_->opening.wipe();
    }

    [[nodiscard]] file_sender& files() noexcept { return files_; }

  private:
    file_sender files_;
    std::unique_ptr<tls_workplace> tls_;
};

} // namespace dlhandoff::engine
