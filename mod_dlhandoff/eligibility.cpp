#include "mod_dlhandoff/eligibility.hpp"

#include "engine/client/client_input.hpp"
#include "engine/client/tcp_progress.hpp"
#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/tls_export.hpp"

#include <apr_buckets.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <array>
#include <cstring>
#include <http_core.h>
#include <http_request.h>
#include <string_view>

namespace dlhandoff::httpd {
namespace {

bool is_set(const request_rec* r, const char* variable) noexcept {
    const char* value = apr_table_get(r->subprocess_env, variable);
    return value != nullptr && std::strcmp(value, "0") != 0;
}

/// httpd keeps filter names in lower case.
std::string_view name_of(const ap_filter_t* filter) noexcept {
    return filter->frec->name;
}

constexpr std::string_view rate_limit_filter = "rate_limit";

bool limits_rate(const ap_filter_t* filter) noexcept {
    // Without the variable the filter removes itself (mod_ratelimit).
    return name_of(filter) == rate_limit_filter && filter->r != nullptr &&
           apr_table_get(filter->r->subprocess_env, "rate-limit") != nullptr;
}

/// mod_reqtimeout looks only for the end of a request, mod_logio only for the time of the first byte.
constexpr std::array<std::string_view, 4> harmless_filters{"core", "reqtimeout", "logio_ttfb_out",
                                                           rate_limit_filter};

bool declares_body(const request_rec* r) noexcept {
    if (apr_table_get(r->headers_in, "Transfer-Encoding") != nullptr)
        return true;
    const char* length = apr_table_get(r->headers_in, "Content-Length");
    return length != nullptr && std::strspn(length, "0") != std::strlen(length);
}

} // namespace

std::optional<decline_reason> check_request(const request_rec* r) noexcept {
    if (r->main != nullptr)
        return decline_reason::subrequest;
    if (r->connection->master != nullptr || r->proto_num >= HTTP_VERSION(2, 0))
        return decline_reason::http2;
    if (r->assbackwards != 0 || r->proto_num < HTTP_VERSION(1, 0))
        return decline_reason::http09;
    if (is_set(r, "no-dlhandoff"))
        return decline_reason::env;
    if (r->header_only != 0)
        return decline_reason::method;
    return std::nullopt;
}

std::optional<decline_reason> check_filters(const ap_filter_t* own) noexcept {
    for (const ap_filter_t* filter = own->r->output_filters; filter != nullptr; filter = filter->next)
        if (limits_rate(filter))
            return decline_reason::filter;
    for (const ap_filter_t* filter = own->next; filter != nullptr; filter = filter->next) {
        const std::string_view name = name_of(filter);
        bool harmless = false;
        for (const std::string_view known : harmless_filters)
            harmless = harmless || name == known;
        if (harmless)
            continue;
        if (name.find("ssl") == std::string_view::npos && name.find("tls") == std::string_view::npos)
            return decline_reason::filter;
        // mod_ssl's own, which it names "SSL/TLS ...": its keys can be had (tls_export.hpp).
        if (!name.starts_with("ssl/tls ") || !server_config_of(own->r->server).tls.value_or(true))
            return decline_reason::tls;
    }
    return std::nullopt;
}

std::optional<decline_reason> check_request_body(request_rec* r) noexcept {
    if (!declares_body(r))
        return std::nullopt;
    if (r->expecting_100 != 0)
        return decline_reason::request_body;
    // Usually the handler has read it all, and the first round yields the end of it.
    constexpr int most_rounds = 16;
    constexpr apr_off_t round_bytes = 8192;
    apr_bucket_brigade* const read = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    auto result = std::optional(decline_reason::request_body);
    for (int round = 0; round < most_rounds && result; ++round) {
        if (ap_get_brigade(r->input_filters, read, AP_MODE_READBYTES, APR_NONBLOCK_READ, round_bytes) !=
                APR_SUCCESS ||
            APR_BRIGADE_EMPTY(read))
            break;
        if (APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(read)))
            result.reset();
        apr_brigade_cleanup(read);
    }
    apr_brigade_destroy(read);
    return result;
}

std::optional<decline_reason> check_output(ap_filter_t* own) noexcept {
    conn_rec* const c = own->c;
    if (c->aborted != 0)
        return decline_reason::client_gone;
    // mod_ssl may hold back small data without saying so.
    if (c->data_in_output_filters == 0 && !is_tls(c))
        return std::nullopt;
    apr_bucket_brigade* const flush = apr_brigade_create(own->r->pool, c->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(flush, apr_bucket_flush_create(c->bucket_alloc));
    const apr_status_t status = ap_pass_brigade(own->next, flush);
    apr_brigade_destroy(flush);
    if (status != APR_SUCCESS || c->aborted != 0)
        return decline_reason::client_gone;
    if (c->data_in_output_filters != 0)
        return decline_reason::buffered;
    return std::nullopt;
}

std::optional<decline_reason> check_input(request_rec* r) noexcept {
    conn_rec* const c = r->connection;
    // c->data_in_input_filters says what was there after the request before this one: this request, then.
    apr_bucket_brigade* const peeked = apr_brigade_create(r->pool, c->bucket_alloc);
    // Some clients send an empty line too many behind a request: httpd ignores it behind the response.
    if (!is_tls(c))
        (void)ap_check_pipeline(c, peeked, engine::most_empty_lines);
    apr_brigade_cleanup(peeked);
    const apr_status_t status =
        ap_get_brigade(c->input_filters, peeked, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1);
    apr_off_t bytes = 0;
    if (status == APR_SUCCESS)
        apr_brigade_length(peeked, 0, &bytes);
    apr_brigade_destroy(peeked);
    if (bytes != 0)
        return decline_reason::pipelined;
    // The end of file is a client that has closed its own direction: it may well want the response.
    if (status == APR_SUCCESS || APR_STATUS_IS_EAGAIN(status) || APR_STATUS_IS_EOF(status))
        return std::nullopt;
    return decline_reason::client_gone;
}

std::variant<int, decline_reason> client_descriptor(conn_rec* c) noexcept {
    apr_socket_t* const socket = ap_get_conn_socket(c);
    apr_os_sock_t descriptor = -1;
    if (socket == nullptr || apr_os_sock_get(&descriptor, socket) != APR_SUCCESS)
        return decline_reason::not_tcp;
    if (!engine::is_tcp(descriptor))
        return decline_reason::not_tcp;
    return descriptor;
}

} // namespace dlhandoff::httpd
