#include "engine/files/scattered_read.hpp"

#include "engine/files/file_table.hpp"

#include <cerrno>

namespace dlhandoff::engine {

bool scattered_read::add(const shared_file& file, std::uint64_t offset,
                         std::span<std::uint8_t> into) noexcept {
    if (count_ == 0) {
        file_ = &file;
        offset_ = offset;
        size_ = 0;
    } else if (file_ != &file || offset_ + size_ != offset || count_ == places_.size()) {
        return false;
    }
    places_[count_++] = {into.data(), into.size()};
    size_ += into.size();
    return true;
}

scattered_read::result scattered_read::read() noexcept {
    if (count_ == 0)
        return result::read;
    if (!file_->unchanged())
        return result::changed;
    for (std::size_t first = 0;;) {
        const ssize_t got = ::preadv(file_->descriptor(), &places_[first], static_cast<int>(count_ - first),
                                     static_cast<off_t>(offset_));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return result::failed;
        if (got == 0)
            return result::changed;
        offset_ += static_cast<std::uint64_t>(got);
        auto left = static_cast<std::size_t>(got);
        while (first < count_ && left >= places_[first].iov_len)
            left -= places_[first++].iov_len;
        if (first == count_) {
            count_ = 0;
            return result::read;
        }
        places_[first].iov_base = static_cast<std::uint8_t*>(places_[first].iov_base) + left;
        places_[first].iov_len -= left;
    }
}

} // namespace dlhandoff::engine
