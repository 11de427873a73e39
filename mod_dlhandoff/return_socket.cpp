#include "mod_dlhandoff/return_socket.hpp"

#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/module.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/trusted_user.hpp"
#include "shared/unix_address.hpp"

#include <ap_listen.h>
#include <apr_optional.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <http_core.h>
#include <memory>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unixd.h>
#include <util_cfgtree.h>

// Of mod_systemd (ap_listen.h declares it where httpd was built with that): sd_listen_fds(3).
APR_DECLARE_OPTIONAL_FN(int, ap_systemd_listen_fds, (int));

namespace dlhandoff::httpd {
namespace {

/// What httpd's list of listeners calls ours by: no accept filter has this name, and nothing that looks for a
/// port to speak HTTP to takes it.
constexpr const char* protocol = "dlhandoff";
/// Every record of that list must have a TCP address. No Listen can name port 0, so nobody mistakes ours; and
/// no vhost is likely to have this one.
constexpr const char* placeholder = "127.68.76.72";
constexpr mode_t mode = 0660;

// Of the parent; children inherit them. Lost when httpd reads its configuration anew, and the module with it:
// the record in httpd's list is not.
ap_listen_rec* kept = nullptr;
unix_address address;

int descriptor_of(const ap_listen_rec& record) noexcept {
    apr_os_sock_t descriptor = -1;
    apr_os_sock_get(&descriptor, record.sd);
    return descriptor;
}

/// The process that may unlink the socket, and the server whose state says whether to.
struct owner {
    pid_t pid;
};

apr_status_t unlink_at_exit(void* data) noexcept {
    // Children clean up, too, when they end; and a restart clears this pool, but goes on with the socket.
    if (static_cast<owner*>(data)->pid == ::getpid() && !address.path().empty() &&
        ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING)
        ::unlink(address.path().data());
    return APR_SUCCESS;
}

void unlink_when_httpd_stops(apr_pool_t* pconf) noexcept {
    auto* const self = new (apr_palloc(pconf, sizeof(owner))) owner{::getpid()};
    apr_pool_cleanup_register(pconf, self, unlink_at_exit, apr_pool_cleanup_null);
}

bool is_wanted(const server_rec* main_server) noexcept {
    for (const server_rec* server = main_server; server != nullptr; server = server->next)
        if (server->keep_alive != 0 && server_config_of(server).keep_alive.value_or(true))
            return true;
    return false;
}

/// Whether children will know that it is another child, of their own user, who returns a connection.
bool can_know_senders(const server_rec* main_server) noexcept {
    const uid_t user = ::geteuid() == 0 ? ap_unixd_config.user_id : ::geteuid();
    if (server_config_of(main_server).manager_socket != nullptr || !may_be_anybody(user))
        return true;
    ap_log_error(
        APLOG_MARK, APLOG_WARNING, 0, main_server,
        "DLHandoffKeepAlive: connections end after each download, since httpd's User has the id %ld, "
        "which in this user namespace may be anybody's; give httpd a User of its own",
        static_cast<long>(user));
    return false;
}

/// Whether systemd has opened httpd's listeners. httpd forgets the environment that says so when it has
/// started.
bool has_listeners_of_systemd(apr_pool_t* process) noexcept {
    constexpr const char* key = "dlhandoff-listeners-of-systemd";
    void* noted = nullptr;
    apr_pool_userdata_get(&noted, key, process);
    const auto listen_fds = APR_RETRIEVE_OPTIONAL_FN(ap_systemd_listen_fds);
    if (noted == nullptr && (listen_fds == nullptr || listen_fds(0) <= 0))
        return false;
    apr_pool_userdata_setn(key, key, nullptr, process);
    return true;
}

bool asks_for_buckets(const ap_directive_t* tree) noexcept {
    for (; tree != nullptr; tree = tree->next)
        if (asks_for_buckets(tree->first_child) ||
            (::strcasecmp(tree->directive, "ListenCoresBucketsRatio") == 0 && std::atoi(tree->args) > 0))
            return true;
    return false;
}

const char* wanted_path(apr_pool_t* ptemp) noexcept {
    return ap_runtime_dir_relative(ptemp, apr_psprintf(ptemp, "dlhandoff.return.%d", ::getpid()));
}

/// Whether the socket that we listen at is still where managers look for it, and theirs to use: somebody may
/// have cleaned the directory, or the configuration may name another or another user.
bool is_in_place(apr_pool_t* ptemp) noexcept {
    struct stat status {};
    const char* const path = wanted_path(ptemp);
    return path != nullptr && address.path() == path && ::lstat(path, &status) == 0 &&
           S_ISSOCK(status.st_mode) &&
           (::geteuid() != 0 ||
            (status.st_uid == ap_unixd_config.user_id && status.st_gid == ap_unixd_config.group_id));
}

void close_kept() noexcept {
    if (kept == nullptr)
        return;
    apr_socket_close(kept->sd);
    ::unlink(address.path().data());
    kept = nullptr;
    address = {};
}

/// bind(2) makes the file with the socket's own mode, less the umask.
bool bind_with_mode(int socket) noexcept {
    const mode_t before = ::umask(0);
    const bool bound = ::fchmod(socket, mode) == 0 && address.bind(socket);
    ::umask(before);
    return bound;
}

/// Bound and listening; invalid, with errno set, if that can't be.
file_descriptor make_socket(apr_pool_t* ptemp) noexcept {
    const char* const path = wanted_path(ptemp);
    errno = ENAMETOOLONG;
    const auto wanted = path != nullptr ? unix_address::of(path) : std::nullopt;
    if (!wanted)
        return {};
    address = *wanted;
    file_descriptor made(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    // The name has our pid: what is there is left of a process that died.
    ::unlink(path);
    if (!made || !bind_with_mode(made.get()))
        return {};
    if ((::geteuid() == 0 && ::lchown(path, ap_unixd_config.user_id, ap_unixd_config.group_id) < 0) ||
        ::listen(made.get(), SOMAXCONN) < 0) {
        const int error = errno;
        ::unlink(path);
        errno = error;
        return {};
    }
    return made;
}

/// A record for httpd's list, from memory that outlives restarts.
ap_listen_rec* make_record(apr_pool_t* pool, file_descriptor listening) noexcept {
    auto* const record = static_cast<ap_listen_rec*>(apr_pcalloc(pool, sizeof(ap_listen_rec)));
    apr_os_sock_t descriptor = listening.get();
    if (apr_sockaddr_info_get(&record->bind_addr, placeholder, APR_INET, 0, 0, pool) != APR_SUCCESS ||
        apr_os_sock_put(&record->sd, &descriptor, pool) != APR_SUCCESS)
        return nullptr;
    [[maybe_unused]] const int given = listening.release();
    record->active = 1;
    record->protocol = apr_pstrdup(pool, protocol);
    return record;
}

void append_to_listeners(ap_listen_rec* record) noexcept {
    ap_listen_rec** end = &ap_listeners;
    while (*end != nullptr)
        end = &(*end)->next;
    *end = record;
}

/// Whether `descriptor` is a TCP socket that listens at the placeholder's address.
bool listens_at_placeholder(int descriptor) noexcept {
    sockaddr_in name{};
    socklen_t size = sizeof name;
    int listening = 0;
    socklen_t listening_size = sizeof listening;
    in_addr expected{};
    ::inet_pton(AF_INET, placeholder, &expected);
    return ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) == 0 &&
           listening != 0 && ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) == 0 &&
           name.sin_family == AF_INET && name.sin_addr.s_addr == expected.s_addr;
}

} // namespace

int keep_return_socket(apr_pool_t* pconf, apr_pool_t*, apr_pool_t*) noexcept {
    for (ap_listen_rec** at = &ap_listeners; *at != nullptr; at = &(*at)->next) {
        ap_listen_rec* const record = *at;
        if (record->protocol == nullptr || std::strcmp(record->protocol, protocol) != 0)
            continue;
        *at = record->next;
        record->next = nullptr;
        kept = record;
        address = unix_address::of_socket(descriptor_of(*record));
        unlink_when_httpd_stops(pconf);
        break;
    }
    return OK;
}

int open_return_socket(apr_pool_t* pconf, apr_pool_t*, apr_pool_t* ptemp, server_rec* main_server) noexcept {
    // The first reading of the configuration is a trial, before httpd leaves the terminal.
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    bool wanted = is_wanted(main_server) && can_know_senders(main_server);
    // httpd would make TCP listeners for the other buckets of what it takes for systemd's, ours among them.
    if (wanted && asks_for_buckets(ap_conftree) && has_listeners_of_systemd(main_server->process->pool)) {
        wanted = false;
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, main_server,
                     "DLHandoffKeepAlive: httpd has its listeners from systemd, and ListenCoresBucketsRatio "
                     "does not go with that: connections end after each download instead of coming back. "
                     "Remove ListenCoresBucketsRatio");
    }
    if (!wanted || !is_in_place(ptemp))
        close_kept();
    if (!wanted)
        return OK;
    if (kept == nullptr) {
        if (file_descriptor made = make_socket(ptemp))
            kept = make_record(main_server->process->pool, std::move(made));
        if (kept == nullptr) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, errno, main_server,
                         "DLHandoffKeepAlive: could not make the socket %s, over which connections come back "
                         "to httpd: they end after each download instead. httpd's runtime directory "
                         "(DefaultRuntimeDir) must exist, be httpd's to write, and have a short path",
                         address.path().data());
            address = {};
            return OK;
        }
        unlink_when_httpd_stops(pconf);
    }
    append_to_listeners(kept);
    return OK;
}

int share_return_socket(apr_pool_t*, apr_pool_t*, apr_pool_t*, server_rec* main_server) noexcept {
    if (ap_num_listen_buckets < 2 || address.path().empty())
        return OK;
    // httpd has made sockets of its own for the other buckets, from the placeholder's address, which nothing
    // but their descriptors leads to.
    const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir("/proc/self/fd"), ::closedir);
    int shared = 0;
    while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
        const int descriptor = std::atoi(entry->d_name);
        if (descriptor > 0 && listens_at_placeholder(descriptor) &&
            ::dup3(descriptor_of(*kept), descriptor, O_CLOEXEC) >= 0)
            ++shared;
    }
    if (shared == ap_num_listen_buckets - 1)
        return OK;
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, errno, main_server,
                 "DLHandoffKeepAlive: only %d of %d buckets of children listen at %s; remove "
                 "ListenCoresBucketsRatio, or set DLHandoffKeepAlive Off",
                 shared + 1, ap_num_listen_buckets, address.path().data());
    return HTTP_INTERNAL_SERVER_ERROR;
}

std::string_view return_socket_path() noexcept {
    return address.path();
}

} // namespace dlhandoff::httpd
