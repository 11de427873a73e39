#include "mod_dlhandoff/directives.hpp"

#include "mod_dlhandoff/byte_size.hpp"
#include "mod_dlhandoff/module.hpp"

#include <apr_strings.h>
#include <cstring>
#include <new>
#include <string_view>
#include <strings.h>
#include <sys/un.h>

namespace dlhandoff::httpd {
namespace {

constexpr std::string_view service_prefix = "unix:";
constexpr std::size_t longest_socket_path = sizeof(sockaddr_un::sun_path) - 1;

directory_config& own(void* config) noexcept {
    return *static_cast<directory_config*>(config);
}

const char* set_on_off(cmd_parms* cmd, const char* value, setting& into) noexcept {
    if (strcasecmp(value, "On") == 0)
        into = setting::on;
    else if (strcasecmp(value, "Off") == 0)
        into = setting::off;
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
    own(config).has_min_size = true;
    return nullptr;
}

const char* set_tag(cmd_parms* cmd, void* config, const char* value) noexcept {
    const char* error = nullptr;
    own(config).tag =
        ap_expr_parse_cmd(cmd, value, AP_EXPR_FLAG_STRING_RESULT | AP_EXPR_FLAG_DONT_VARY, &error, nullptr);
    if (error != nullptr)
        return apr_psprintf(cmd->pool,
                            "DLHandoffTag: '%s' is not allowed; allowed is a string expression such as "
                            "'%%{reqenv:CUSTOMER}': %s",
                            value, error);
    return nullptr;
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
    if (text.size() - service_prefix.size() > longest_socket_path)
        return apr_psprintf(
            cmd->pool,
            "DLHandoffManager: '%s' is not allowed; the path of a socket can have %d bytes at most", value,
            static_cast<int>(longest_socket_path));
    config.manager_socket = apr_pstrdup(cmd->pool, value + service_prefix.size());
    return nullptr;
}

const char* set_claim_timeout(cmd_parms* cmd, void*, const char* value) noexcept {
    if (const char* misplaced = ap_check_cmd_context(cmd, GLOBAL_ONLY))
        return misplaced;
    apr_interval_time_t timeout = 0;
    if (ap_timeout_parameter_parse(value, &timeout, "s") != APR_SUCCESS || timeout <= 0)
        return apr_psprintf(
            cmd->pool,
            "DLHandoffClaimTimeout: '%s' is not allowed; allowed is a time above 0 with a unit of ms, "
            "s, min or h (such as 250ms), seconds without",
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

constexpr int server_or_directory = RSRC_CONF | ACCESS_CONF;
constexpr int anywhere = server_or_directory | OR_FILEINFO;

using set_function = const char* (*)(cmd_parms*, void*, const char*) noexcept;

/// httpd keeps every directive's function as one type and calls it by the number of arguments (cmd_how).
command_rec directive(const char* name, set_function set, int where, const char* help) noexcept {
    return {name, reinterpret_cast<cmd_func>(reinterpret_cast<void (*)()>(set)), nullptr, where, TAKE1, help};
}

} // namespace

const command_rec directives[] = {
    directive("DLHandoff", set_handoff, anywhere, "On: hand eligible downloads to the download manager; Off"),
    directive("DLHandoffMinSize", set_min_size, anywhere,
              "file bytes below which httpd serves a response itself: bytes, or with K, M, G; 0: none"),
    directive("DLHandoffTag", set_tag, server_or_directory,
              "a string expression for the transfer log's field tag"),
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
    if (more.handoff != setting::unset)
        merged->handoff = more.handoff;
    if (more.has_min_size) {
        merged->min_size = more.min_size;
        merged->has_min_size = true;
    }
    if (more.tag != nullptr)
        merged->tag = more.tag;
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
    if (more.tls != setting::unset)
        merged->tls = more.tls;
    if (more.keep_alive != setting::unset)
        merged->keep_alive = more.keep_alive;
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
    return OK;
}

} // namespace dlhandoff::httpd
