#pragma once

#include <apr_buckets.h>

namespace dlhandoff::httpd {

/// Whether a bucket's data is in memory already: reading it takes no other data from anywhere.
[[nodiscard]] inline bool is_memory(const apr_bucket* bucket) noexcept {
    return APR_BUCKET_IS_HEAP(bucket) || APR_BUCKET_IS_POOL(bucket) || APR_BUCKET_IS_TRANSIENT(bucket) ||
           APR_BUCKET_IS_IMMORTAL(bucket) || APR_BUCKET_IS_MMAP(bucket);
}

} // namespace dlhandoff::httpd
