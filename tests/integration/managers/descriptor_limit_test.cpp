// Many clients at a service of few descriptors: nobody fails, and nobody ever meets the limit itself.
#include "tests/integration/harness/site.hpp"

#include <atomic>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

namespace dlhandoff::test {
namespace {

/// How many requests for the document are logged with each note.
std::map<std::string, unsigned> notes_of_documents(const site& here) {
    std::map<std::string, unsigned> notes;
    std::istringstream lines(read_file(here.directory() / "logs/access.log"));
    for (std::string line; std::getline(lines, line);)
        if (line.find("GET /file") != std::string::npos) {
            const auto begin = line.find('\t') + 1;
            ++notes[line.substr(begin, line.find('\t', begin) - begin)];
        }
    return notes;
}

struct httpd_workers {
    int processes;
    int threads; ///< in each process
};
std::ostream& operator<<(std::ostream& out, const httpd_workers& some) {
    return out << some.processes << "x" << some.threads;
}

class descriptor_limit : public ::testing::TestWithParam<httpd_workers> {};
INSTANTIATE_TEST_SUITE_P(with, descriptor_limit,
                         ::testing::Values(httpd_workers{2, 4}, httpd_workers{4, 64}));

TEST_P(descriptor_limit, of_the_service_costs_no_client_a_byte_alone) {
    constexpr unsigned clients = 1000;
    constexpr unsigned at_once = 200;
    constexpr std::uint64_t size = 1 << 20;
    site here({.how = {"event", true},
               .httpd = {.processes = GetParam().processes, .threads = GetParam().threads},
               .manager = "[limits]\ndescriptors = 64\n",
               .managers = {.managers = 1, .max_managers = 16, .duplicate_idle = "300ms"}});
    here.add_document("file", size);
    const std::string expected = sequence_bytes(0, size);
    std::atomic<unsigned> next = 0;
    std::atomic<unsigned> right = 0;
    std::atomic<bool> done = false;
    std::size_t most_managers = 0;
    std::thread counting([&] {
        while (!done) {
            most_managers = std::max(most_managers, here.manager().managers().size());
            std::this_thread::sleep_for(5ms);
        }
    });
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < at_once; ++i)
        threads.emplace_back([&] {
            while (next++ < clients) {
                try {
                    auto client = here.connect(small_receive_buffer);
                    client.send(here.get_request("/file", new_probe(), "Connection: close\r\n"));
                    const int status = status_of(client.read_head(60s));
                    right += status == 200 && client.read_to_end(60s) == expected ? 1U : 0U;
                } catch (const std::exception& failure) {
                    ADD_FAILURE() << failure.what();
                }
            }
        });
    for (std::thread& one : threads)
        one.join();
    EXPECT_EQ(right, clients);
    EXPECT_TRUE(eventually([&] { return here.manager().managers().size() == 1; }))
        << "duplicates have stayed";
    done = true;
    counting.join();
    EXPECT_GT(most_managers, 1U) << "no duplicate has come: the test is of no use";
    std::map<std::string, unsigned> notes;
    EXPECT_TRUE(eventually([&] {
        notes = notes_of_documents(here);
        unsigned all = 0;
        for (const auto& [note, count] : notes)
            all += count;
        return all == clients;
    })) << "not all requests are in the access log";
    for (const auto& [note, count] : notes)
        std::cout << note << ": " << count << '\n';
    std::cout << "managers at most: " << most_managers << std::endl;
    // On a machine that holds managers up, a heartbeat or a hello may come late.
    const std::set<std::string> fair{"claimed", "declined:full", "declined:stopping",
                                     "declined:manager-timeout", "declined:manager-unresponsive"};
    for (const auto& [note, count] : notes)
        EXPECT_TRUE(fair.contains(note)) << note << ": " << count;
    EXPECT_GT(notes["claimed"], clients / 4);
    for (const std::string& log : {here.httpd().error_log(), here.manager().output()})
        for (const char* error : {"EMFILE", "ENFILE", "Too many open files"})
            EXPECT_EQ(log.find(error), std::string::npos) << error;
}

} // namespace
} // namespace dlhandoff::test
