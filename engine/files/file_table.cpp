#include "engine/files/file_table.hpp"

namespace dlhandoff::engine {

file_reference::~file_reference() {
    if (file_ != nullptr && --file_->references_ == 0)
        file_->table_->files_.erase(file_identity(file_->identity_));
}

std::size_t file_table::identity_hash::operator()(const file_identity& identity) const noexcept {
    std::uint64_t hash = identity.inode * 0x9e3779b97f4a7c15 + identity.device;
    hash =
        (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9 + static_cast<std::uint64_t>(identity.modified_nanoseconds);
    return hash ^ hash >> 32 ^ identity.size;
}

file_reference file_table::adopt(const file_identity& identity, file_descriptor descriptor) {
    auto [at, added] = files_.try_emplace(identity);
    shared_file& file = at->second;
    if (added) {
        file.identity_ = identity;
        if (last_device_ != identity.device) {
            last_device_ = identity.device;
            last_probe_ = residency_probe(descriptor.get());
        }
        file.residency_ = last_probe_;
        file.descriptor_ = std::move(descriptor);
        file.table_ = this;
    }
    return file_reference(file);
}

} // namespace dlhandoff::engine
