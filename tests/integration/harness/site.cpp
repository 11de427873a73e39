#include "tests/integration/harness/site.hpp"

namespace dlhandoff::test {
namespace {

std::string handoff_configuration(const site_options& options, const temporary_directory& directory) {
    // Small documents will do, and a machine that stalls for a moment is no manager that does not answer.
    std::string text = "DLHandoffMinSize 64K\nDLHandoffClaimTimeout 5s\n";
    text += options.handoff.empty() ? "DLHandoff On\nDLHandoffTag %{HTTP:X-Probe}\n" : options.handoff;
    if (options.how.service)
        text += "DLHandoffManager unix:" + (directory / "manager/manager.sock") + '\n';
    else
        text += "DLHandoffTransferLog logs/transfers.log\n";
    return text;
}

} // namespace

std::string name_of(const setup& one) {
    return one.mpm + (one.service ? "_service" : "_embedded");
}

site::site(site_options options)
    : transfers_(directory_ / (options.how.service ? "manager/transfers.log" : "logs/transfers.log")) {
    if (options.how.service) {
        manager_.emplace(directory_, options.manager, options.managers);
        if (options.start_manager)
            manager_->start();
    }
    options.httpd.mpm = options.how.mpm;
    // Prefork has one request a process: as many processes as the others have threads would be too many here.
    if (options.how.mpm == "prefork" && options.httpd.processes == 2)
        options.httpd.processes = 6;
    options.httpd.configuration = handoff_configuration(options, directory_) + options.httpd.configuration;
    if (options.https)
        options.httpd.configuration += https_configuration(directory_, *options.https);
    httpd_.emplace(directory_, std::move(options.httpd));
    if (options.start)
        httpd_->start();
}

void site::add_document(const std::string& name, std::uint64_t size) const {
    make_document(document(name), size);
}

std::string site::document(const std::string& name) const {
    return directory_ / ("htdocs/" + name);
}

raw_client site::connect(int receive_buffer) const {
    return {httpd_->address(), httpd_->port(), receive_buffer};
}

std::string site::get_request(const std::string& path, const std::string& probe,
                              const std::string& fields) const {
    return "GET " + path + " HTTP/1.1\r\nHost: main.test\r\nX-Probe: " + probe + "\r\n" + fields + "\r\n";
}

void site::expect_handed_off(const http_response& response, const std::string& name) const {
    EXPECT_EQ(response.error, CURLE_OK) << curl_easy_strerror(response.error);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body_bytes, std::filesystem::file_size(document(name)));
    EXPECT_EQ(response.body_sha256, sha256_of_file(document(name)));
    EXPECT_EQ(httpd_->note_of(response.probe), "claimed");
    const auto transfer = transfers_.transfer(response.probe);
    ASSERT_TRUE(transfer) << "not in the transfer log";
    EXPECT_EQ(transfer->value("outcome", ""), "complete");
    EXPECT_EQ(transfer->value("file_bytes", 0ULL), response.body_bytes);
    EXPECT_EQ(transfer->value("delivered", 0ULL), response.head.size() + response.body_bytes);
}

void site::expect_served(const http_response& response, const std::string& name,
                         const std::string& reason) const {
    EXPECT_EQ(response.error, CURLE_OK) << curl_easy_strerror(response.error);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body_sha256, sha256_of_file(document(name)));
    const std::string note = httpd_->note_of(response.probe);
    EXPECT_TRUE(note.starts_with("declined:")) << note;
    if (!reason.empty()) {
        EXPECT_EQ(note, "declined:" + reason);
    }
}

} // namespace dlhandoff::test
