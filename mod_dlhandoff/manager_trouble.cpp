#include "mod_dlhandoff/manager_trouble.hpp"

#include "engine/files/residency.hpp"
#include "mod_dlhandoff/module.hpp"
#include "shared/release.hpp"
#include "shared/wire.hpp"

#include <apr_strings.h>
#include <apr_time.h>
#include <atomic>
#include <cerrno>
#include <http_core.h>
#include <http_main.h>
#include <string_view>

namespace dlhandoff::httpd {
namespace {

struct explanation {
    const char* what;
    const char* until;
};

explanation explain_absence(int error, bool embedded) noexcept {
    if (embedded)
        return {"its thread did not start", "it does"};
    if (error == EACCES || error == EPERM)
        return {"httpd's User may not connect to it",
                "it may: give the socket httpd's Group, and let its directory be entered"};
    if (error == ECONNRESET)
        return {"it closed the connection without an answer",
                "it takes connections; see its log, and whether its allow_users has httpd's User"};
    return {"nobody listens there", "dlmanagerd is started and listens there"};
}

explanation explain(decline_reason why, int error, bool embedded) noexcept {
    switch (why) {
    case decline_reason::descriptors:
        return {
            "no descriptors are left, or a security module (SELinux, AppArmor) forbids httpd to receive the "
            "manager's",
            "some are free; raise the limit of open files (LimitNOFILE, ulimit -n) or fs.file-max, or look "
            "for denials in the kernel's or the audit log (journalctl -k, ausearch -m avc)"};
    case decline_reason::no_memory:
        return {"no memory is left", "there is some"};
    case decline_reason::manager_down:
        return explain_absence(error, embedded);
    case decline_reason::manager_user:
        return {"who listens there is neither root nor httpd's User nor the owner of the socket's directory",
                "one of these does; nobody else is given connections and keys"};
    case decline_reason::manager_unresponsive:
        return {"the manager does not answer", "it answers again; if it doesn't, restart dlmanagerd"};
    case decline_reason::manager_timeout:
        return {"the manager did not answer within DLHandoffClaimTimeout", "it answers in time"};
    case decline_reason::wire_version:
        return {"what listens there does not speak as a manager does",
                "mod_dlhandoff and dlmanagerd are of the same release"};
    case decline_reason::board:
        return {"the manager's board is of another version",
                "mod_dlhandoff and dlmanagerd are of the same release"};
    default:
        return {"the manager can't take downloads", "it can again"};
    }
}

explanation explain(refusal why, bool embedded) noexcept {
    switch (why) {
    case refusal::full:
        return {"the manager is full", "it has room again; raise its limit of transfers or descriptors"};
    case refusal::stopping:
        return {"the manager is about to end", "another one is there"};
    case refusal::descriptors_lost:
        return {
            "the descriptors were lost on their way to the manager: it has none left, or a security module "
            "(SELinux, AppArmor) forbids it to receive them",
            "they arrive again; raise its limit of open files (LimitNOFILE), or look for denials in the "
            "kernel's or the audit log (journalctl -k, ausearch -m avc)"};
    case refusal::return_socket:
        if (embedded)
            return {"httpd's User may not connect to httpd's return socket",
                    "it may enter DefaultRuntimeDir and the socket is there (a graceful restart makes it "
                    "anew), or "
                    "DLHandoffKeepAlive is Off"};
        return {
            "the manager may not connect to httpd's return socket",
            "dlmanagerd runs in httpd's Group and may enter DefaultRuntimeDir, or DLHandoffKeepAlive is Off"};
    case refusal::wire_version:
        return {"the manager speaks another version of the protocol",
                "mod_dlhandoff and dlmanagerd are of the same release"};
    default:
        return {"the manager refuses what it is offered", "it does not; please report this"};
    }
}

constexpr apr_time_t pause = apr_time_from_sec(60);
std::atomic<apr_time_t> last_report{-pause};
std::atomic<apr_time_t> last_return_report{-pause};
std::atomic<apr_time_t> last_file_report{-pause};

/// Whether it is time for another report; if so, this is its time.
bool is_due(std::atomic<apr_time_t>& last_time) noexcept {
    const apr_time_t now = apr_time_now();
    apr_time_t last = last_time.load(std::memory_order_relaxed);
    return now - last >= pause && last_time.compare_exchange_strong(last, now);
}

} // namespace

void report_manager_trouble(request_rec* r, const handoff_result& result,
                            const server_config& config) noexcept {
    if (!result.declined || !is_managers_fault(*result.declined))
        return;
    if (!is_due(last_report))
        return;
    const auto* own = std::get_if<decline_reason>(&*result.declined);
    const bool embedded = config.manager_socket == nullptr;
    const explanation said = own != nullptr ? explain(*own, result.error, embedded)
                                            : explain(std::get<refusal>(*result.declined), embedded);
    const char* what = said.what;
    if (result.manager_wire != 0)
        what = apr_psprintf(r->pool,
                            "the manager speaks wire version %u, and mod_dlhandoff %s speaks %u: they are of "
                            "different releases",
                            unsigned{result.manager_wire}, release(), unsigned{wire_version});
    const std::string_view word = name(*result.declined);
    ap_log_rerror(
        APLOG_MARK, APLOG_WARNING, result.error, r,
        "DLHandoffManager %s%s: %s (%.*s): httpd serves downloads itself until %s. This is said once "
        "a minute at most",
        config.manager_socket != nullptr ? "unix:" : "embedded",
        config.manager_socket != nullptr ? config.manager_socket : "", what, static_cast<int>(word.size()),
        word.data(), said.until);
}

void report_return_trouble(const engine::return_failure& failure) noexcept try {
    if (failure.why == engine::return_failure::reason::not_there || !is_due(last_return_report))
        return;
    ap_log_error(APLOG_MARK, APLOG_WARNING, failure.error, ap_server_conf, "mod_dlhandoff: %s",
                 describe(failure).c_str());
} catch (...) { // std::bad_alloc: a log line less
}

void report_log_loss(const engine::transfer_log_loss& loss) noexcept try {
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ap_server_conf, "DLHandoffTransferLog %s %s",
                 server_config_of(ap_server_conf).transfer_log_path, describe(loss).c_str());
} catch (...) { // std::bad_alloc: a log line less
}

int report_filtered_cachestat(apr_pool_t*, apr_pool_t*, apr_pool_t*, server_rec* main_server) noexcept try {
    // Children inherit the parent's filter (seccomp(2)): one of them would be one of many.
    if (server_config_of(main_server).manager_socket != nullptr ||
        ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    if (const int error = engine::cachestat_filtered(); error != 0)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, main_server, "mod_dlhandoff: %s",
                     engine::describe_filtered_cachestat(error).c_str());
    return OK;
} catch (...) { // std::bad_alloc: a log line less
    return OK;
}

void report_file_trouble(const engine::file_failure& failure) noexcept try {
    if (is_due(last_file_report))
        ap_log_error(APLOG_MARK, APLOG_ERR, failure.error, ap_server_conf,
                     "mod_dlhandoff: %s. This is said once a minute at most", describe(failure).c_str());
} catch (...) { // likewise
}

} // namespace dlhandoff::httpd
