#pragma once

#include "tests/integration/harness/documents.hpp"
#include "tests/integration/harness/private_manager.hpp"
#include "tests/integration/harness/transfer_log_reader.hpp"
#include "tests/integration/service/worker_peer.hpp"

#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace dlhandoff::test {

/// A directory with a document, and a service that has not been started.
class service_fixture : public ::testing::Test {
  public:
    explicit service_fixture(const manager_count& count = {}, const std::string& configuration = {})
        : manager(directory, configuration, count) {
        make_document(document, 300'000);
    }

    /// Offers the whole document; the client must get all of it.
    void expect_a_good_offer_works(worker_peer& worker) const {
        open_download download(document);
        offer what = download.make_offer();
        const int descriptors[] = {download.connection.get(), download.file.get()};
        const std::uint64_t sequence = worker.send(what, descriptors);
        const auto said = worker.next_answer();
        ASSERT_TRUE(said.has_value()) << "the session has ended";
        EXPECT_EQ(said->sequence, sequence);
        ASSERT_TRUE(said->claimed) << name(said->reason);
        download.let_go();
        EXPECT_TRUE(download.client.read_to_end() == download.response());
    }

    /// Offers the document as `download` has it, and takes the answer.
    static answer offer_to(worker_peer& worker, open_download& download) {
        offer what = download.make_offer();
        const int descriptors[] = {download.connection.get(), download.file.get()};
        (void)worker.send(what, descriptors);
        const auto said = worker.next_answer();
        if (!said)
            throw std::runtime_error("the manager has closed the session");
        return *said;
    }

    /// A download whose client has not begun to read, so that most of it is still to be sent.
    [[nodiscard]] std::unique_ptr<open_download> begin_slow_download(worker_peer& worker) const {
        if (!std::filesystem::exists(large))
            make_document(large, 8'000'000);
        auto download = std::make_unique<open_download>(large, 16'384);
        EXPECT_TRUE(offer_to(worker, *download).claimed);
        download->let_go();
        return download;
    }

    /// A connection to each of a service's two managers, the first's first.
    [[nodiscard]] std::vector<worker_peer> connect_to_both() const {
        std::vector<worker_peer> workers;
        workers.emplace_back(manager.socket());
        // The second goes to the other one when that lives, and when nothing else is connected there.
        const board& the_board = workers.front().the_board();
        const manager_status& other = the_board.manager(1 - workers.front().greeting().index);
        EXPECT_TRUE(eventually(
            [&] { return other.state == manager_state::live && other.counters.connections == 0; }));
        workers.emplace_back(manager.socket());
        EXPECT_NE(workers[0].greeting().index, workers[1].greeting().index);
        if (workers[0].greeting().index > workers[1].greeting().index)
            std::swap(workers[0], workers[1]);
        return workers;
    }

    temporary_directory directory;
    const std::string large = directory / "large";
    const std::string document = directory / "document";
    private_manager manager;
};

} // namespace dlhandoff::test
