#include "tests/integration/harness/certificate_authority.hpp"

#include "tests/integration/interop/client_program.hpp"

#include <stdexcept>

namespace dlhandoff::test {
namespace {

void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    const command_result result = run_client(arguments);
    if (result.status != 0)
        throw std::runtime_error("openssl " + arguments[1] + ": " + result.output);
}

} // namespace

certificate_authority::certificate_authority(const temporary_directory& directory) : directory_(directory) {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=authority.test", "-keyout", directory_ / "authority-key.pem", "-out",
             certificate()});
}

std::string certificate_authority::issue(const std::string& common_name, key_type key) const {
    const std::string all = directory_ / (common_name + ".pem");
    const std::string private_key = directory_ / (common_name + ".key");
    const std::string request = directory_ / (common_name + ".csr");
    const std::string issued = directory_ / (common_name + ".crt");
    const std::string extensions = directory_ / (common_name + ".ext");
    std::vector<std::string> make{"req",  "-nodes", "-subj",  "/CN=" + common_name, "-keyout", private_key,
                                  "-out", request,  "-newkey"};
    if (key == key_type::rsa)
        make.emplace_back("rsa:2048");
    else
        make.insert(make.end(), {"ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"});
    openssl(std::move(make));
    write_file(extensions, "basicConstraints=CA:FALSE\nsubjectAltName=DNS:" + common_name + '\n');
    openssl({"x509", "-req", "-in", request, "-CA", certificate(), "-CAkey", directory_ / "authority-key.pem",
             "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", issued});
    write_file(all, read_file(issued) + read_file(private_key) + read_file(certificate()));
    return all;
}

std::string certificate_authority::status_of(const std::string& certificate_file) const {
    const std::string request = directory_ / "status-request.der";
    const std::string response = directory_ / "status.der";
    const std::string index = directory_ / "index.txt";
    // Serial numbers are in certificates only: V(alid), until when, and so on (ca(1)).
    const std::string serial_file = directory_ / "serial.txt";
    openssl({"x509", "-in", certificate_file, "-noout", "-serial", "-out", serial_file});
    std::string serial = read_file(serial_file);
    serial = serial.substr(serial.find('=') + 1);
    serial = serial.substr(0, serial.find('\n'));
    write_file(index, "V\t391231235959Z\t\t" + serial + "\tunknown\t/CN=any\n");
    openssl({"ocsp", "-issuer", certificate(), "-cert", certificate_file, "-no_nonce", "-reqout", request});
    openssl({"ocsp", "-index", index, "-CA", certificate(), "-rsigner", certificate(), "-rkey",
             directory_ / "authority-key.pem", "-reqin", request, "-respout", response, "-ndays", "1"});
    return read_file(response);
}

} // namespace dlhandoff::test
