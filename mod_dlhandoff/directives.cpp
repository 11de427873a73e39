#include "mod_dlhandoff/directives.hpp"

#include "mod_dlhandoff/module.hpp"
#include "shared/byte_size.hpp"
#include "shared/class_name.hpp"
#include "shared/unix_address.hpp"

#include <apr_strings.h>
#include <charconv>
#include <cstring>
#include <new>
#include <string_view>
#include <strings.h>

namespace dlhandoff::httpd {
namespace {

constexpr std::string_view service_prefix = "unix:";
constexpr std::uint32_t most_transfers = 1'000'000'000;

directory_config& own(void* config) noexcept {
    return *static_cast<directory_config*>(config);
}

const char* set_on_off(cmd_parms* cmd, const char* value, std::optional<bool>& into) noexcept {
    if (strcasecmp(value, "On") == 0)
        into = true;
    else if (strcasecmp(value, "Off") == 0)
        into = false;
    else
        return apr_psprintf(cmd->pool, "%s: '%s' is not allowed; allowed are On and Off", cmd->cmd->name,
                            value);
    return nullptr;
}

const char* set_handoff(cmd_parms* cmd, void* config, const char* value) noexcept {
    return set_on_off(cmd, value, own(config).handoff);
}

const char* set_tls(cmd_parms* cmd, void*, const char* value) noexcept {
    if (const char* misplaced = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT))
        return misplaced;
    return set_on_off(cmd, value, server_config_of(cmd->server).tls);
}

const char* set_keep_alive(cmd_parms* cmd, void*, const char* value) noexcept {
    if (const char* misplaced = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT))
        return misplaced;
    return set_on_off(cmd, value, server_config_of(cmd->server).keep_alive);
}

const char* set_min_size(cmd_parms* cmd, void* config, const char* value) noexcept {
    const auto size = parse_byte_size(value);
    if (!size)
        return apr_psprintf(
            cmd->pool,
            "DLHandoffMinSize: '%s' is not allowed; allowed is a number of bytes, or of K, M or G "
            "(such as 64K), and 0 for no minimum",
            value);
    own(config).min_size = *size;
    return nullptr;
}

/// A string expression; `example` is part of what is said if it is none.
const char* set_expression(cmd_parms* cmd, const char* value, const ap_expr_info_t*& into,
                           const char* example) noexcept {
    const char* error = nullptr;
    into =
        ap_expr_parse_cmd(cmd, value, AP_EXPR_FLAG_STRING_RESULT | AP_EXPR_FLAG_DONT_VARY, &error, nullptr);
    if (error != nullptr)
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is not allowed; allowed is a string expression such as '%s': %s",
                            cmd->cmd->name, value, example, error);
    return nullptr;
}

const char* set_client(cmd_parms* cmd, void* config, const char* value) noexcept {
    return set_expression(cmd, value, own(config).client, "%{REMOTE_USER}");
}

const char* set_class(cmd_parms* cmd, void* config, const char* value) noexcept {
    if (!is_class_name(value))
        return apr_psprintf(cmd->pool,
                            "DLHandoffClass: '%s' is not allowed; allowed is %s, such as that of a "
                            "[class.NAME] of dlmanagerd's configuration",
                            value, allowed_class_names);
    own(config).transfer_class = value;
    return nullptr;
}

const char* set_rate(cmd_parms* cmd, void* config, const char* rate, const char* word,
                     const char* after) noexcept {
    const auto speed = parse_byte_size(rate);
    const auto free = after != nullptr ? parse_byte_size(after) : 0;
    if (!speed || !free || (word != nullptr && (after == nullptr || strcasecmp(word, "after") != 0)) ||
        (*speed == 0 && after != nullptr))
        return apr_psprintf(
            cmd->pool,
            "DLHandoffRate: '%s%s%s%s%s' is not allowed; allowed are bytes a second, or K, M or G of them "
            "(such "
            "as 500K), and after them, if a first part is to go at full speed, the word after and its size "
            "(such as 500K after 10M); 0 for no limit",
            rate, word != nullptr ? " " : "", word != nullptr ? word : "", after != nullptr ? " " : "",
            after != nullptr ? after : "");
    own(config).rate = pace{*speed, *free};
    return nullptr;
}

const char* set_when_full(cmd_parms* cmd, void* config, const char* value) noexcept {
    if (strcasecmp(value, "serve") == 0)
        own(config).busy_when_full = false;
    else if (strcasecmp(value, "busy") == 0)
        own(config).busy_when_full = true;
    else
        return apr_psprintf(cmd->pool,
                            "DLHandoffWhenFull: '%s' is not allowed; allowed are serve (httpd serves the "
                            "response itself) and busy (503 with Retry-After)",
                            value);
    return nullptr;
}

const char* set_file_check(cmd_parms* cmd, void* config, const char* value) noexcept {
    if (strcasecmp(value, "size") == 0)
        own(config).check = file_check::size;
    else if (strcasecmp(value, "mtime") == 0)
        own(config).check = file_check::mtime;
    else
        return apr_psprintf(cmd->pool,
                            "DLHandoffFileCheck: '%s' is not allowed; allowed are size (a download ends when "
                            "its file gets shorter) and mtime (also when the file's time changes and its "
                            "size does not)",
                            value);
    return nullptr;
}

/// A directive's N of the embedded manager's limits.
const char* set_count(cmd_parms* cmd, const char* value, std::uint32_t& into, const char* zero) noexcept {
    if (const char* misplaced = ap_check_cmd_context(cmd, GLOBAL_ONLY))
        return misplaced;
    std::uint32_t count = 0;
    const char* const end = value + std::strlen(value);
    const auto [rest, error] = std::from_chars(value, end, count);
    if (error != std::errc{} || rest != end || count > most_transfers)
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is not allowed; allowed is a number from 1 to %u, and 0 for %s",
                            cmd->cmd->name, value, most_transfers, zero);
    into = count;
    server_config_of(cmd->server).embedded_limit = cmd->cmd->name;
    return nullptr;
}

const char* set_max_transfers(cmd_parms* cmd, void*, const char* value) noexcept {
    return set_count(cmd, value, server_config_of(cmd->server).embedded_limits.transfers,
                     "as many as descriptors allow");
}

const char* set_max_per_client(cmd_parms* cmd, void*, const char* value) noexcept {
    return set_count(cmd, value, server_config_of(cmd->server).embedded_limits.per_client, "no bound");
}

const char* set_queue(cmd_parms* cmd, void*, const char* count, const char* time) noexcept {
    if (const char* wrong =
            set_count(cmd, count, server_config_of(cmd->server).embedded_limits.queue, "no queue"))
        return wrong;
    if (time == nullptr)
        return nullptr;
    constexpr apr_interval_time_t most = apr_time_from_sec(24 * 3600);
    apr_interval_time_t timeout = 0;
    if (ap_timeout_parameter_parse(time, &timeout, "s") != APR_SUCCESS || timeout < 1000 || timeout > most)
        return apr_psprintf(
            cmd->pool,
            "DLHandoffQueue: '%s' is not allowed; allowed is a time from 1ms to 24h with a unit "
            "of ms, s, min or h (such as 30s), seconds without",
            time);
    server_config_of(cmd->server).embedded_limits.queue_timeout =
        std::chrono::milliseconds(apr_time_as_msec(timeout));
    return nullptr;
}

const char* set_tag(cmd_parms* cmd, void* config, const char* value) noexcept {
    return set_expression(cmd, value, own(config).tag, "%{reqenv:CUSTOMER}");
}

const char* set_manager(cmd_parms* cmd, void*, const char* value) noexcept {
    if (const char* misplaced = ap_check_cmd_context(cmd, GLOBAL_ONLY))
        return misplaced;
    server_config& config = server_config_of(cmd->server);
    if (strcasecmp(value, "embedded") == 0) {
        config.manager_socket = nullptr;
        return nullptr;
    }
    const std::string_view text = value;
    if (!text.starts_with(service_prefix) || !text.substr(service_prefix.size()).starts_with('/'))
        return apr_psprintf(
            cmd->pool,
            "DLHandoffManager: '%s' is not allowed; allowed are embedded and unix:PATH with the "
            "absolute path of dlmanagerd's socket",
            value);
    if (text.size() - service_prefix.size() > unix_address::longest_path)
        return apr_psprintf(
            cmd->pool,
            "DLHandoffManager: '%s' is not allowed; the path of a socket can have %d bytes at most", value,
            static_cast<int>(unix_address::longest_path));
    config.manager_socket = apr_pstrdup(cmd->pool, value + service_prefix.size());
    return nullptr;
}

const char* set_claim_timeout(cmd_parms* cmd, void*, const char* value) noexcept {
    if (const char* misplaced = ap_check_cmd_context(cmd, GLOBAL_ONLY))
        return misplaced;
    constexpr apr_interval_time_t most = apr_time_from_sec(24 * 3600);
    apr_interval_time_t timeout = 0;
    if (ap_timeout_parameter_parse(value, &timeout, "s") != APR_SUCCESS || timeout <= 0 || timeout > most)
        return apr_psprintf(
            cmd->pool,
            "DLHandoffClaimTimeout: '%s' is not allowed; allowed is a time above 0, up to 24h, with a unit "
            "of ms, s, min or h (such as 250ms), seconds without",
            value);
    server_config_of(cmd->server).claim_timeout = std::chrono::microseconds(timeout);
    return nullptr;
}

const char* set_transfer_log(cmd_parms* cmd, void*, const char* value) noexcept {
    if (const char* misplaced = ap_check_cmd_context(cmd, GLOBAL_ONLY))
        return misplaced;
    const bool is_path = *value != '\0' && *value != '|';
    const char* path = is_path ? ap_server_root_relative(cmd->pool, value) : nullptr;
    if (path == nullptr)
        return apr_psprintf(cmd->pool,
                            "DLHandoffTransferLog: '%s' is not allowed; allowed is a file's path, relative "
                            "to ServerRoot or absolute",
                            value);
    server_config_of(cmd->server).transfer_log_path = path;
    return nullptr;
}

/// For merging: what the inner place sets counts. A value is an optional or a pointer.
template <class Value>
void take_if_set(Value& outer, const Value& inner) noexcept {
    if (inner)
        outer = inner;
}

constexpr int server_or_directory = RSRC_CONF | ACCESS_CONF;
constexpr int anywhere = server_or_directory | OR_FILEINFO;

/// httpd keeps every directive's function as one type and calls it by the number of arguments (cmd_how).
template <class... Arguments>
command_rec directive(const char* name, const char* (*set)(cmd_parms*, void*, Arguments...) noexcept,
                      int where, const char* help, cmd_how how = TAKE1) noexcept {
    return {name, reinterpret_cast<cmd_func>(reinterpret_cast<void (*)()>(set)), nullptr, where, how, help};
}

} // namespace

const command_rec directives[] = {
    directive("DLHandoff", set_handoff, anywhere, "On: hand eligible downloads to the download manager; Off"),
    directive("DLHandoffMinSize", set_min_size, anywhere,
              "file bytes below which httpd serves a response itself: bytes, or with K, M, G; 0: none"),
    directive("DLHandoffTag", set_tag, server_or_directory,
              "a string expression for the transfer log's field tag"),
    directive(
        "DLHandoffRate", set_rate, anywhere,
        "bytes a second for one download, or with K, M, G; then, if wanted, after SIZE: what goes first "
        "at full speed",
        TAKE13),
    directive("DLHandoffClass", set_class, server_or_directory,
              "the class of the manager's configuration whose limits count"),
    directive("DLHandoffClient", set_client, server_or_directory,
              "a string expression: whom limits count against; without it, the client's address"),
    directive("DLHandoffWhenFull", set_when_full, server_or_directory,
              "when the manager is full: serve (httpd does), or busy (503 with Retry-After)"),
    directive("DLHandoffFileCheck", set_file_check, anywhere,
              "what ends a download under way: size (its file gets shorter), or mtime (also when the file's "
              "time changes and its size does not)"),
    directive("DLHandoffMaxTransfers", set_max_transfers, RSRC_CONF,
              "downloads that the embedded manager sends at the same time; 0: as descriptors allow"),
    directive("DLHandoffMaxPerClient", set_max_per_client, RSRC_CONF, "of these, one client's; 0: no bound"),
    directive("DLHandoffQueue", set_queue, RSRC_CONF,
              "downloads that may wait for the embedded manager, and how long", TAKE12),
    directive("DLHandoffTLS", set_tls, RSRC_CONF, "On: HTTPS downloads are handed off too; Off"),
    directive("DLHandoffKeepAlive", set_keep_alive, RSRC_CONF,
              "On: connections come back to httpd for their next request after a handed-off response; Off"),
    directive("DLHandoffManager", set_manager, RSRC_CONF,
              "who sends downloads: embedded, or unix: and the path of dlmanagerd's socket"),
    directive("DLHandoffClaimTimeout", set_claim_timeout, RSRC_CONF,
              "how long a worker waits for the manager's claim before httpd serves the response itself"),
    directive("DLHandoffTransferLog", set_transfer_log, RSRC_CONF, "transfer log of the embedded manager"),
    command_rec{}};

void* create_directory_config(apr_pool_t* pool, char*) noexcept {
    return new (apr_palloc(pool, sizeof(directory_config))) directory_config;
}

void* merge_directory_config(apr_pool_t* pool, void* base, void* added) noexcept {
    auto* merged = new (apr_palloc(pool, sizeof(directory_config))) directory_config(own(base));
    const directory_config& more = own(added);
    take_if_set(merged->handoff, more.handoff);
    take_if_set(merged->min_size, more.min_size);
    take_if_set(merged->tag, more.tag);
    take_if_set(merged->client, more.client);
    take_if_set(merged->transfer_class, more.transfer_class);
    take_if_set(merged->rate, more.rate);
    take_if_set(merged->busy_when_full, more.busy_when_full);
    take_if_set(merged->check, more.check);
    return merged;
}

void* create_server_config(apr_pool_t* pool, server_rec*) noexcept {
    return new (apr_palloc(pool, sizeof(server_config))) server_config;
}

const directory_config& directory_config_of(const request_rec* r) noexcept {
    return *static_cast<const directory_config*>(ap_get_module_config(r->per_dir_config, &dlhandoff_module));
}

void* merge_server_config(apr_pool_t* pool, void* base, void* added) noexcept {
    auto* merged =
        new (apr_palloc(pool, sizeof(server_config))) server_config(*static_cast<server_config*>(base));
    const auto& more = *static_cast<server_config*>(added);
    take_if_set(merged->tls, more.tls);
    take_if_set(merged->keep_alive, more.keep_alive);
    return merged;
}

server_config& server_config_of(const server_rec* server) noexcept {
    return *static_cast<server_config*>(ap_get_module_config(server->module_config, &dlhandoff_module));
}

int check_directives(apr_pool_t*, apr_pool_t*, apr_pool_t*, server_rec* main_server) noexcept {
    const server_config& config = server_config_of(main_server);
    if (config.manager_socket != nullptr && config.transfer_log_path != nullptr) {
        ap_log_error(
            APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, main_server,
            "DLHandoffTransferLog %s does not go with DLHandoffManager unix:%s: that log is the embedded "
            "manager's. Remove DLHandoffTransferLog and set transfers in the [log] section of dlmanagerd's "
            "configuration, or set DLHandoffManager embedded",
            config.transfer_log_path, config.manager_socket);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (config.manager_socket != nullptr && config.embedded_limit != nullptr) {
        ap_log_error(
            APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, main_server,
            "%s does not go with DLHandoffManager unix:%s: it is a limit of the embedded manager's. Remove "
            "it "
            "and set transfers, per_client, queue and queue_timeout in the [limits] section of dlmanagerd's "
            "configuration, or set DLHandoffManager embedded",
            config.embedded_limit, config.manager_socket);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

} // namespace dlhandoff::httpd
