"""A certificate authority of a test's own, by the openssl program."""
import os
import subprocess


class Authority:
    """Files NAME.crt and NAME.key in a folder; ca.crt is the authority's own."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        os.makedirs(folder, exist_ok=True)
        self._run("req", "-x509", *self._new_key(name), "-days", "30", "-subj", f"/CN=Tusk {name}",
                  "-out", self.path(f"{name}.crt"))
        self.certificate = self.path(f"{name}.crt")

    def path(self, file):
        return os.path.join(self.folder, file)

    def _run(self, *words):
        run = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"openssl {words[0]}: {run.stderr}")

    def _new_key(self, name, rsa=False):
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        return ["-newkey", *kind, "-nodes", "-keyout", self.path(f"{name}.key")]

    def issue(self, name, common_name, alternatives="", rsa=False):
        """(certificate, key): their paths. alternatives: "DNS:x,IP:y"."""
        self._run("req", *self._new_key(name, rsa), "-subj", f"/O=Tusk/CN={common_name}",
                  "-out", self.path(f"{name}.csr"))
        words = ["x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.certificate, "-CAkey",
                 self.path(f"{self.name}.key"), "-CAcreateserial", "-days", "30",
                 "-out", self.path(f"{name}.crt")]
        if alternatives:
            with open(self.path(f"{name}.ext"), "w", encoding="utf-8") as file:
                file.write(f"subjectAltName={alternatives}\n")
            words += ["-extfile", self.path(f"{name}.ext")]
        self._run(*words)
        os.chmod(self.path(f"{name}.key"), 0o600)
        return self.path(f"{name}.crt"), self.path(f"{name}.key")
