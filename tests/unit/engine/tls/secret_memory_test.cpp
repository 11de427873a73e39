#include "engine/tls/secret_memory.hpp"

#include "engine/client/sealed_channel.hpp"

#include <cstdint>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <string>

namespace dlhandoff::test {
namespace {

/// The flags of the mapping that an address is in (proc(5), smaps: VmFlags).
std::string flags_of_mapping(const void* address) {
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    std::ifstream maps("/proc/self/smaps");
    bool found = false;
    for (std::string line; std::getline(maps, line);) {
        const auto dash = line.find('-');
        if (const auto space = line.find(' '); dash != std::string::npos && dash < space) {
            const auto begin = std::stoull(line.substr(0, dash), nullptr, 16);
            const auto end = std::stoull(line.substr(dash + 1, space - dash - 1), nullptr, 16);
            found = begin <= wanted && wanted < end;
        } else if (found && line.starts_with("VmFlags:")) {
            return line + ' ';
        }
    }
    return {};
}

TEST(secret_memory, of_a_sealed_channel_is_in_no_core_dump_and_in_no_child) {
    tls_session session;
    session.version = engine::tls13;
    session.suite = 0x1302;
    const auto channel = std::make_unique<engine::sealed_channel>(session);
    const std::string flags = flags_of_mapping(channel.get());
    EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
    EXPECT_NE(flags.find(" wf "), std::string::npos) << flags;
    const auto elsewhere = std::make_unique<int>();
    EXPECT_EQ(flags_of_mapping(elsewhere.get()).find(" dd "), std::string::npos);
}

TEST(secret_memory, is_used_again) {
    auto& memory = engine::secret_memory();
    void* const first = memory.allocate(300);
    memory.deallocate(first, 300);
    void* const second = memory.allocate(300);
    EXPECT_EQ(first, second);
    memory.deallocate(second, 300);
}

} // namespace
} // namespace dlhandoff::test
