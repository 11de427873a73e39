#include "tests/integration/limits/limited_site.hpp"

namespace dlhandoff::test {

site_options limited(const setup& how, const limits_asked& asked, const std::string& directives,
                     const std::string& sections) {
    const std::string transfers = std::to_string(asked.transfers);
    const std::string per_client = std::to_string(asked.per_client);
    const std::string queue = std::to_string(asked.queue);
    site_options options{.how = how, .httpd = {.configuration = directives}};
    if (how.service)
        options.manager = "[limits]\ntransfers = " + transfers + "\nper_client = " + per_client +
                          "\nqueue = " + queue + "\nqueue_timeout = \"" + asked.queue_timeout + "\"\n" +
                          sections;
    else
        options.httpd.configuration += "DLHandoffMaxTransfers " + transfers + "\nDLHandoffMaxPerClient " +
                                       per_client + "\nDLHandoffQueue " + queue + ' ' + asked.queue_timeout +
                                       '\n';
    return options;
}

raw_client ask(const site& here, const std::string& path, const std::string& probe,
               const std::string& fields) {
    raw_client client = here.connect(small_receive_buffer);
    client.send(here.get_request(path, probe, fields));
    return client;
}

void expect_waiting(const site& here, const raw_client& client, const std::string& probe) {
    EXPECT_EQ(here.httpd().note_of(probe), "claimed") << probe;
    EXPECT_FALSE(client.has_input(150ms)) << probe << " should wait, but is being answered";
}

void expect_document(raw_client& client, std::uint64_t size) {
    EXPECT_EQ(status_of(client.read_head(30s)), 200);
    EXPECT_TRUE(client.read(size, 30s) == sequence_bytes(0, size));
}

} // namespace dlhandoff::test
