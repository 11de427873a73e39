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

scattered_read::result scattered_read::read(file_check check) noexcept {
    std::size_t first = 0;
    int why = 0;
    for (int fruitless = 0; first < count_; ++fruitless) {
        if (fruitless == most_fruitless_reads) {
            errno = why;
            return result::failed;
        }
        switch (file_->state(check)) {
        case file_state::as_offered:
            break;
        case file_state::changed:
            return result::changed;
        case file_state::unreadable:
            return result::failed;
        }
        for (ssize_t got = 1; got > 0 && first < count_;) {
            got = ::preadv(file_->descriptor(), &places_[first], static_cast<int>(count_ - first),
                           static_cast<off_t>(offset_));
            if (got < 0 && errno != EINTR)
                return result::failed;
            why = got < 0 ? EINTR : ENODATA; // the latter should it stay so, though the file is longer
            if (got > 0) {
                fruitless = 0;
                first = fill(first, static_cast<std::size_t>(got));
            }
        }
    }
    count_ = 0;
    return result::read;
}

/// So many bytes have come, from the place `first` on: the first one that still lacks some.
std::size_t scattered_read::fill(std::size_t first, std::size_t bytes) noexcept {
    offset_ += bytes;
    while (first < count_ && bytes >= places_[first].iov_len)
        bytes -= places_[first++].iov_len;
    if (first < count_) {
        places_[first].iov_base = static_cast<std::uint8_t*>(places_[first].iov_base) + bytes;
        places_[first].iov_len -= bytes;
    }
    return first;
}

} // namespace dlhandoff::engine
