#pragma once

#include "dlmanagerd/configuration/configuration.hpp"
#include "engine/transfer_log.hpp"

namespace dlhandoff::service {

/// The transfer log that a configuration asks for. Throws std::system_error that names its path.
[[nodiscard]] inline engine::transfer_log open_transfer_log(const configuration& settings) {
    return settings.log.transfers.empty() ? engine::transfer_log()
                                          : engine::transfer_log::open(settings.log.transfers);
}

} // namespace dlhandoff::service
