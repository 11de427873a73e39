#include "mod_dlhandoff/child.hpp"

#include "mod_dlhandoff/child_end.hpp"
#include "mod_dlhandoff/inherited.hpp"
#include "mod_dlhandoff/manager_trouble.hpp"
#include "mod_dlhandoff/module.hpp"
#include "mod_dlhandoff/tls_export.hpp"

#include <cerrno>
#include <utility>

namespace dlhandoff::httpd {
namespace {

child* the_child = nullptr;

} // namespace

child* child::current() noexcept {
    return the_child;
}

child::child(const server_config& config) : config_(config) {
    if (config.manager_socket != nullptr)
        service_.emplace(config.manager_socket, config.claim_timeout);
    else
        embedded_.emplace(from_parent().transfer_log, config.embedded_limits, from_parent().limit_ledger,
                          report_return_trouble, report_log_loss, report_file_trouble);
}

void child::make(apr_pool_t* pchild, server_rec* main_server) noexcept try {
    the_child = new child(server_config_of(main_server));
    if (the_child->embedded_)
        end_with_child(pchild, *the_child->embedded_);
} catch (const std::exception& failure) {
    ap_log_error(
        APLOG_MARK, APLOG_ERR, 0, main_server,
        "mod_dlhandoff could not start in this child: %s: httpd serves all downloads of this child itself",
        failure.what());
}

handoff_result child::hand_off(conn_rec* c, offer offered, std::span<const int> descriptors) {
    if (!dead_.valid())
        return {decline_reason::descriptors, EMFILE};
    handoff_result result;
    if (service_)
        result = service_->hand_off(offered, descriptors);
    else
        result = embedded_->hand_off(std::move(offered), descriptors);
    if (result.claimed()) {
        dead_.detach(c, descriptors.front());
        forget_tls(c);
    }
    return result;
}

std::chrono::milliseconds child::retry_after() {
    const auto own = config_.embedded_limits.queue_timeout;
    return service_ ? service_->queue_timeout().value_or(own) : own;
}

} // namespace dlhandoff::httpd
