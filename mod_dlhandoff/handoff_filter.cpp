#include "mod_dlhandoff/handoff_filter.hpp"

#include "engine/tls/tls_record.hpp"
#include "engine/tls/tls_suite.hpp"
#include "mod_dlhandoff/child.hpp"
#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/eligibility.hpp"
#include "mod_dlhandoff/manager_trouble.hpp"
#include "mod_dlhandoff/memory_bucket.hpp"
#include "mod_dlhandoff/module.hpp"
#include "mod_dlhandoff/reading_terms.hpp"
#include "mod_dlhandoff/request_facts.hpp"
#include "mod_dlhandoff/response_plan.hpp"
#include "mod_dlhandoff/return_terms.hpp"
#include "mod_dlhandoff/tls_export.hpp"
#include "shared/busy_response.hpp"

#include <apr_optional.h>
#include <apr_strings.h>
#include <cstring>
#include <http_core.h>
#include <new>
#include <util_filter.h>
#include <vector>

namespace dlhandoff::httpd {
namespace {

constexpr const char* filter_name = "DLHANDOFF";
constexpr const char* note_name = "dlhandoff";

ap_filter_rec_t* filter_record = nullptr;

/// Lives in the request's pool.
struct filter_state {
    apr_bucket_brigade* held = nullptr; ///< the head, while the body has not come
    bool claimed = false;
};

/// What the log has to know of a request that httpd did not simply serve. In its request_config; lives in its
/// pool.
struct request_end {
    bool was_told_busy = false; ///< answered by say_busy()
    bool goes_on = false;       ///< handed off, and its connection goes on afterwards
};

/// Null for most requests.
const request_end* end_of(const request_rec* r) noexcept {
    return static_cast<const request_end*>(ap_get_module_config(r->request_config, &dlhandoff_module));
}

void set_end(request_rec* r, request_end end) noexcept {
    ap_set_module_config(r->request_config, &dlhandoff_module,
                         new (apr_palloc(r->pool, sizeof(request_end))) request_end(end));
}

void note_decline(request_rec* r, const decline& why) noexcept {
    const std::string_view word = name(why);
    apr_table_setn(r->notes, note_name,
                   apr_psprintf(r->pool, "declined:%.*s", static_cast<int>(word.size()), word.data()));
}

bool ends_response(apr_bucket_brigade* brigade) noexcept {
    for (const apr_bucket* bucket = APR_BRIGADE_LAST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_PREV(bucket))
        if (APR_BUCKET_IS_EOS(bucket))
            return true;
    return false;
}

/// httpd's HTTP_HEADER filter passes the head on its own, as heap data.
bool may_be_head(apr_bucket_brigade* brigade) noexcept {
    apr_size_t size = 0;
    for (const apr_bucket* bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (!is_memory(bucket))
            return false;
        size += bucket->length;
        if (size > max_plan_memory)
            return false;
    }
    return true;
}

/// httpd serves: all that is here goes on as it came, and the filter is done with this request.
apr_status_t pass_on(ap_filter_t* filter, filter_state& state, apr_bucket_brigade* brigade) noexcept {
    if (state.held != nullptr)
        APR_BRIGADE_PREPEND(brigade, state.held);
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

/// Bytes of a response on the wire, as the log has them of httpd's own: with its records, if it is sealed.
std::uint64_t wire_bytes(std::uint64_t response, const tls_session* tls) noexcept {
    const engine::tls_suite* const suite =
        tls != nullptr ? engine::find_tls_suite(tls->version, tls->suite) : nullptr;
    if (suite == nullptr)
        return response;
    constexpr std::uint64_t alert = 2; // close_notify
    const std::uint64_t records = (response - 1) / engine::max_record_plaintext + 2;
    return response + alert + records * engine::record_overhead(*suite);
}

handoff_result hand_off(ap_filter_t* filter, apr_bucket_brigade* response) {
    request_rec* const r = filter->r;
    conn_rec* const c = filter->c;
    child* const process = child::current();
    if (process == nullptr)
        return {decline_reason::no_memory};
    if (const auto wrong = check_request(r))
        return {*wrong};
    if (const auto wrong = check_filters(filter))
        return {*wrong};
    const return_terms back = return_terms_of(r);
    const auto planned = response_plan::of(
        response, directory_config_of(r).min_size.value_or(directory_config::default_min_size),
        back.path.empty() ? connection_end::close : connection_end::keep_alive);
    if (const auto* wrong = std::get_if<decline_reason>(&planned))
        return {*wrong};
    const auto& plan = std::get<response_plan>(planned);
    if (const auto wrong = check_request_body(r))
        return {*wrong};
    if (const auto wrong = check_output(filter))
        return {*wrong};
    if (const auto wrong = check_input(r))
        return {*wrong};
    const auto client = client_descriptor(c);
    if (const auto* wrong = std::get_if<decline_reason>(&client))
        return {*wrong};

    const tls_session* tls = nullptr;
    std::variant<secret_value<tls_session>, decline_reason> exported;
    if (is_tls(c)) {
        exported = export_tls(c);
        if (const auto* wrong = std::get_if<decline_reason>(&exported))
            return {*wrong};
        tls = &*std::get<secret_value<tls_session>>(exported);
    }
    const bool goes_on = !back.path.empty();
    auto made = offer::make(facts_of(r), plan.files(), plan.pieces(), plan.memory(), tls, back,
                            directory_config_of(r).rate.value_or(pace{}), reading_terms_of(r));
    if (const auto* wrong = std::get_if<refusal>(&made))
        return {*wrong};
    auto& offered = std::get<offer>(made);
    const std::uint64_t bytes = wire_bytes(offered.response_bytes(), tls);
    std::vector<int> descriptors{std::get<int>(client)};
    descriptors.insert(descriptors.end(), plan.descriptors().begin(), plan.descriptors().end());
    const handoff_result result = process->hand_off(c, std::move(offered), descriptors);
    if (result.claimed()) {
        apr_table_setn(r->notes, note_name, "claimed");
        set_end(r, {.goes_on = goes_on});
        // mod_logio counts what httpd sends; %O is to say what this response has.
        if (auto* const add_bytes_out = APR_RETRIEVE_OPTIONAL_FN(ap_logio_add_bytes_out))
            add_bytes_out(c, static_cast<apr_off_t>(bytes));
    }
    return result;
}

/// What the response begins with, up to its first file: the head is among it. Reads no file.
std::string memory_in_front(apr_bucket_brigade* response) {
    std::string front;
    for (apr_bucket* bucket = APR_BRIGADE_FIRST(response);
         bucket != APR_BRIGADE_SENTINEL(response) && is_memory(bucket); bucket = APR_BUCKET_NEXT(bucket)) {
        const char* bytes = nullptr;
        apr_size_t size = 0;
        if (apr_bucket_read(bucket, &bytes, &size, APR_BLOCK_READ) == APR_SUCCESS)
            front.append(bytes, size);
    }
    return front;
}

/// DLHandoffWhenFull busy: 503 instead of the response that is here.
apr_status_t say_busy(ap_filter_t* filter, apr_bucket_brigade* brigade, child& process) {
    request_rec* const r = filter->r;
    const std::string busy =
        busy_response(memory_in_front(brigade), std::chrono::system_clock::now(), process.retry_after());
    // r->status must not say so before the log: to httpd such a status ends the connection
    // (ap_status_drops_connection), whatever the head has promised.
    set_end(r, {.was_told_busy = true});
    r->bytes_sent = static_cast<apr_off_t>(busy.size() - busy.find("\r\n\r\n") - 4);
    apr_brigade_cleanup(brigade);
    apr_bucket_alloc_t* const memory = r->connection->bucket_alloc;
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_heap_create(busy.data(), busy.size(), nullptr, memory));
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(memory));
    ap_remove_output_filter(filter);
    return ap_pass_brigade(filter->next, brigade);
}

apr_status_t handle(ap_filter_t* filter, filter_state& state, apr_bucket_brigade* brigade) noexcept {
    request_rec* const r = filter->r;
    if (state.claimed || APR_BRIGADE_EMPTY(brigade)) {
        apr_brigade_cleanup(brigade);
        return APR_SUCCESS;
    }
    // The directives may have changed since the filter was added: by an internal redirect.
    if (!directory_config_of(r).on())
        return pass_on(filter, state, brigade);
    if (!ends_response(brigade)) {
        if (state.held == nullptr && may_be_head(brigade) &&
            ap_save_brigade(filter, &state.held, &brigade, r->pool) == APR_SUCCESS)
            return APR_SUCCESS;
        note_decline(r, decline_reason::bucket);
        return pass_on(filter, state, brigade);
    }
    if (state.held != nullptr)
        APR_BRIGADE_PREPEND(brigade, state.held);
    handoff_result result;
    try {
        result = hand_off(filter, brigade);
    } catch (...) { // std::bad_alloc
        result = {decline_reason::no_memory};
    }
    if (result.claimed()) {
        state.claimed = true;
        apr_brigade_cleanup(brigade);
        return APR_SUCCESS;
    }
    note_decline(r, *result.declined);
    if (child* const process = child::current()) {
        if (*result.declined == decline{refusal::full} &&
            directory_config_of(r).busy_when_full.value_or(false)) {
            try {
                return say_busy(filter, brigade, *process);
            } catch (const std::bad_alloc&) { // then httpd serves
            }
        }
        report_manager_trouble(r, result, process->config());
    }
    return pass_on(filter, state, brigade);
}

apr_status_t filter_response(ap_filter_t* filter, apr_bucket_brigade* brigade) noexcept {
    return handle(filter, *static_cast<filter_state*>(filter->ctx), brigade);
}

apr_status_t end_connection(void* c) noexcept {
    static_cast<conn_rec*>(c)->keepalive = AP_CONN_CLOSE;
    return APR_SUCCESS;
}

} // namespace

int log_as_the_client_sees_it(request_rec* first) noexcept {
    conn_rec* const c = first->connection;
    for (request_rec* r = first; r != nullptr; r = r->next) { // internal redirects: the last one was answered
        const request_end* const end = end_of(r);
        if (end == nullptr)
            continue;
        if (end->was_told_busy)
            r->status = HTTP_SERVICE_UNAVAILABLE;
        if (end->goes_on && c->keepalive == AP_CONN_CLOSE) {
            // The request's pool is cleared when the logs are written: then httpd lets go of the connection.
            apr_pool_cleanup_register(first->pool, c, end_connection, apr_pool_cleanup_null);
            c->keepalive = AP_CONN_KEEPALIVE;
        }
    }
    return DECLINED;
}

void register_handoff_filter() noexcept {
    filter_record = ap_register_output_filter(filter_name, filter_response, nullptr,
                                              static_cast<ap_filter_type>(AP_FTYPE_CONNECTION - 1));
}

void insert_handoff_filter(request_rec* r) noexcept {
    if (r->main != nullptr || !directory_config_of(r).on())
        return;
    // An internal redirect takes the filter along, and asks for it again.
    for (const ap_filter_t* filter = r->output_filters; filter != nullptr; filter = filter->next)
        if (filter->frec == filter_record)
            return;
    auto* const state = new (apr_palloc(r->pool, sizeof(filter_state))) filter_state;
    ap_add_output_filter_handle(filter_record, state, r, r->connection);
}

} // namespace dlhandoff::httpd
