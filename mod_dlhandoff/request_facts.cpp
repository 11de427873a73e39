#include "mod_dlhandoff/request_facts.hpp"

#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/module.hpp"

#include <ap_expr.h>
#include <apr_tables.h>

namespace dlhandoff::httpd {
namespace {

std::string_view text(const char* from) noexcept {
    return from != nullptr ? from : std::string_view{};
}

/// Empty without an expression, and where it fails: then the log says so, and what the download goes on
/// `without`.
std::string_view value_of(request_rec* r, const ap_expr_info_t* expression, const char* directive,
                          const char* without) noexcept {
    if (expression == nullptr)
        return {};
    const char* error = nullptr;
    const char* value = ap_expr_str_exec(r, expression, &error);
    if (error != nullptr)
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "%s: evaluating the expression failed: %s; the download goes on, %s", directive, error,
                      without);
    return error == nullptr ? text(value) : std::string_view{};
}

} // namespace

request_facts facts_of(request_rec* r) noexcept {
    const request_rec* asked = r;
    while (asked->prev != nullptr) // internal redirects
        asked = asked->prev;
    const directory_config& own = directory_config_of(r);
    request_facts facts;
    facts.client = text(r->useragent_ip);
    facts.client_key = value_of(r, own.client, "DLHandoffClient", "and counts against its client's address");
    if (facts.client_key.empty())
        facts.client_key = facts.client;
    facts.user = text(r->user);
    facts.vhost = text(r->server->server_hostname);
    facts.method = text(r->method);
    facts.uri = text(asked->unparsed_uri);
    facts.range = text(apr_table_get(r->headers_in, "Range"));
    facts.tag = value_of(r, own.tag, "DLHandoffTag", "its line in the transfer log has no tag");
    facts.transfer_class = text(own.transfer_class);
    facts.status = static_cast<std::uint16_t>(r->status);
    return facts;
}

} // namespace dlhandoff::httpd
