#pragma once

#include "engine/files/file_state.hpp"
#include "engine/files/residency.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>

namespace dlhandoff::engine {

class file_table;

/// A file that transfers are sending from: one descriptor, however many transfers there are.
class shared_file {
  public:
    [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
    [[nodiscard]] const file_identity& identity() const noexcept { return identity_; }
    /// What has become of it since the offer. Costs a system call.
    [[nodiscard]] file_state state(file_check check) const noexcept {
        return state_of(descriptor(), identity_, check);
    }
    [[nodiscard]] residency_probe& residency() noexcept { return residency_; }

  private:
    friend class file_table;
    friend class file_reference;
    file_descriptor descriptor_;
    file_identity identity_;
    residency_probe residency_;
    std::uint32_t references_ = 0;
    file_table* table_ = nullptr;
};

/// A counted reference to a shared_file; the last one closes the file. Not thread-safe: the engine's thread
/// only.
class file_reference {
  public:
    file_reference() noexcept = default;
    explicit file_reference(shared_file& file) noexcept : file_(&file) { ++file.references_; }
    file_reference(const file_reference& other) noexcept : file_(other.file_) {
        if (file_ != nullptr)
            ++file_->references_;
    }
    file_reference(file_reference&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
    file_reference& operator=(file_reference other) noexcept {
        std::swap(file_, other.file_);
        return *this;
    }
    ~file_reference();
    [[nodiscard]] shared_file& operator*() const noexcept { return *file_; }
    [[nodiscard]] shared_file* operator->() const noexcept { return file_; }

  private:
    shared_file* file_ = nullptr;
};

/// All files in use: (device, inode, size, mtime) → one descriptor. A file that grows or is touched has a
/// descriptor for each size and time with which it was offered, so each reference means the file as its offer
/// described it. Must outlive its references.
class file_table {
  public:
    file_table() = default;
    file_table(const file_table&) = delete;
    file_table& operator=(const file_table&) = delete;

    /// The file with this identity. Closes `descriptor` if the file is there already.
    [[nodiscard]] file_reference adopt(const file_identity& identity, file_descriptor descriptor);
    [[nodiscard]] std::size_t size() const noexcept { return files_.size(); }

  private:
    friend class file_reference;
    struct identity_hash {
        [[nodiscard]] std::size_t operator()(const file_identity& identity) const noexcept;
    };
    std::unordered_map<file_identity, shared_file, identity_hash> files_;
    std::uint64_t last_device_ = 0; ///< the device that last_probe_ is for; 0: none yet
    residency_probe last_probe_;
};

} // namespace dlhandoff::engine
