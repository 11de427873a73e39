#pragma once

#include "tests/integration/documents.hpp"
#include "tests/integration/private_manager.hpp"
#include "tests/integration/transfer_log_reader.hpp"
#include "tests/integration/worker_peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdexcept>
#include <string>

namespace dlhandoff::test {

/// A directory with a document, and a manager that has not been started.
class service_fixture : public ::testing::Test {
  public:
    service_fixture() { make_document(document, 300'000); }

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

    temporary_directory directory;
    const std::string document = directory / "document";
    private_manager manager{directory};
};

} // namespace dlhandoff::test
