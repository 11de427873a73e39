#include "mod_dlhandoff/response_plan.hpp"

#include "mod_dlhandoff/memory_bucket.hpp"
#include "mod_dlhandoff/response_head.hpp"

#include <algorithm>
#include <apr_portable.h>
#include <optional>
#include <string_view>

namespace dlhandoff::httpd {
namespace {

/// What can be said without reading anything, so that the many small responses are declined at once.
std::optional<decline_reason> check_buckets(apr_bucket_brigade* response, std::uint64_t min_size) noexcept {
    std::uint64_t memory = 0;
    std::uint64_t in_files = 0;
    bool ended = false;
    for (const apr_bucket* bucket = APR_BRIGADE_FIRST(response); bucket != APR_BRIGADE_SENTINEL(response);
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (ended)
            return decline_reason::bucket;
        if (APR_BUCKET_IS_FILE(bucket))
            in_files += bucket->length;
        else if (is_memory(bucket))
            memory += bucket->length;
        else if (APR_BUCKET_IS_EOS(bucket))
            ended = true;
        else if (!APR_BUCKET_IS_FLUSH(
                     bucket)) // the whole response is here: there is nothing to flush before its end
            return decline_reason::bucket;
    }
    if (!ended)
        return decline_reason::bucket;
    if (in_files == 0)
        return decline_reason::no_file;
    if (in_files < min_size)
        return decline_reason::min_size;
    if (memory > max_plan_memory)
        return decline_reason::memory;
    return std::nullopt;
}

} // namespace

void response_plan::add_memory(const char* data, std::size_t size) {
    if (!pieces_.empty() && pieces_.back().from == plan_piece::source::memory)
        pieces_.back().length += size;
    else
        pieces_.push_back({plan_piece::source::memory, 0, memory_.size(), size});
    memory_.append(data, size);
}

std::variant<std::uint32_t, decline_reason> response_plan::file_index(int descriptor) {
    const auto known = std::find(descriptors_.begin(), descriptors_.end(), descriptor);
    if (known != descriptors_.end())
        return static_cast<std::uint32_t>(known - descriptors_.begin());
    if (descriptors_.size() == max_plan_files)
        return decline_reason::too_many_files;
    const auto identity = file_identity::of(descriptor);
    if (!identity)
        return decline_reason::no_file;
    descriptors_.push_back(descriptor);
    files_.push_back(*identity);
    return static_cast<std::uint32_t>(files_.size() - 1);
}

/// The head, which the first piece begins with.
std::optional<std::string_view> response_plan::head() const noexcept {
    if (pieces_.front().from != plan_piece::source::memory)
        return std::nullopt;
    const std::string_view first = std::string_view(memory_).substr(0, pieces_.front().length);
    const auto size = head_size(first);
    return size ? std::optional(first.substr(0, *size)) : std::nullopt;
}

/// Rewrites the head, and moves what follows accordingly.
void response_plan::close_head(std::string_view head) {
    const std::size_t size = head.size();
    const std::string closing = closing_head(head);
    memory_.replace(0, size, closing);
    for (plan_piece& piece : pieces_)
        if (piece.from == plan_piece::source::memory && &piece != &pieces_.front())
            piece.offset = piece.offset - size + closing.size();
    pieces_.front().length = pieces_.front().length - size + closing.size();
}

std::variant<response_plan, decline_reason> response_plan::of(apr_bucket_brigade* response,
                                                              std::uint64_t min_size, connection_end end) {
    if (const auto wrong = check_buckets(response, min_size))
        return *wrong;
    response_plan plan;
    for (apr_bucket* bucket = APR_BRIGADE_FIRST(response); bucket != APR_BRIGADE_SENTINEL(response);
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (APR_BUCKET_IS_METADATA(bucket) || bucket->length == 0)
            continue;
        if (!APR_BUCKET_IS_FILE(bucket)) {
            const char* data = nullptr;
            apr_size_t size = 0;
            if (apr_bucket_read(bucket, &data, &size, APR_BLOCK_READ) != APR_SUCCESS)
                return decline_reason::bucket;
            plan.add_memory(data, size);
            continue;
        }
        apr_os_file_t descriptor = -1;
        if (apr_os_file_get(&descriptor, static_cast<const apr_bucket_file*>(bucket->data)->fd) !=
            APR_SUCCESS)
            return decline_reason::no_file;
        const auto index = plan.file_index(descriptor);
        if (const auto* wrong = std::get_if<decline_reason>(&index))
            return *wrong;
        const auto file = std::get<std::uint32_t>(index);
        const auto offset = static_cast<std::uint64_t>(bucket->start);
        const std::uint64_t size = plan.files_[file].size;
        if (bucket->start < 0 || offset > size || bucket->length > size - offset)
            return decline_reason::file_changed;
        plan.pieces_.push_back({plan_piece::source::file, file, offset, bucket->length});
    }
    const auto head = plan.head();
    if (!head)
        return decline_reason::head;
    if (end == connection_end::close)
        plan.close_head(*head);
    if (plan.memory_.size() > max_plan_memory || plan.pieces_.size() > max_plan_pieces)
        return decline_reason::memory;
    return plan;
}

} // namespace dlhandoff::httpd
