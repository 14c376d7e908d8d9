class RolloutStatus < Formula
  desc "Wait for a Kubernetes rollout, or say why it failed"
  homepage "https://github.com/@REPOSITORY@"
  version "@VERSION@"
  license "MIT"

  depends_on "kubernetes-cli"
  depends_on "python@3.13"

  # FOR EACH ARCHIVE
  on_@SYSTEM@ do
    on_@CPU@ do
      url "https://github.com/@REPOSITORY@/releases/download/v@VERSION@/@ARCHIVE@"
      sha256 "@SHA256@"
    end
  end
  # END

  def install
    libexec.install "rollout-status"
    (bin/"rollout-status").write <<~SHELL
      #!/bin/sh
      exec "#{Formula["python@3.13"].opt_bin}/python3.13" "#{libexec}/rollout-status" "$@"
    SHELL
    chmod 0755, bin/"rollout-status"
    bin.install_symlink "rollout-status" => "kubectl-rollout_status"
  end

  test do
    assert_match "process-crashing", shell_output("#{bin}/rollout-status demo --quiet", 1)
  end
end
