#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

/// Files to serve, whose bytes tell where they are from: a byte too early or too late can't go unseen. Their
/// last change is an hour ago.
namespace dlhandoff::test {

/// `length` bytes of a sequence that does not repeat, from `offset` on.
[[nodiscard]] std::string sequence_bytes(std::uint64_t offset, std::size_t length);

/// A file with the first `size` bytes of the sequence, readable by all.
void make_document(const std::filesystem::path& path, std::uint64_t size);

/// A sparse file of `size` bytes with 1 MB stretches of the sequence at its beginning, end, and every 512 MB.
void make_sparse_document(const std::filesystem::path& path, std::uint64_t size);

} // namespace dlhandoff::test
