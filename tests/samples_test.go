// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell runs a script in which $V is the command, to its end, in an empty folder.
func shell(t *testing.T, script string) (out string, status int) {
	t.Helper()
	p := start(t, []string{"V=" + command, "DATA=" + filepath.Join(root, "tests/data")}, "bash", "-c", "cd "+t.TempDir()+"\nset -o pipefail\n"+script)
	out, err := p.end()
	if status = p.ProcessState.ExitCode(); status < 0 {
		t.Errorf("%v\n%s", err, out)
	}
	return out, status
}

// script is one for shell, and what is expected of it: its status, and that its
// output contains want, or is empty if that is.
type script struct {
	text   string
	status int
	want   string
}

func runScripts(t *testing.T, run func(*testing.T, string) (string, int), scripts []script) {
	t.Helper()
	for _, s := range scripts {
		if out, status := run(t, s.text); status != s.status || !strings.Contains(out, s.want) || s.want == "" && out != "" {
			t.Errorf("%s: status %d, not %d, or no %q in\n%s", s.text, status, s.status, s.want, out)
		}
	}
}

func TestGeneratedSamplesAreTheSameInEveryFormat(t *testing.T) {
	t.Parallel()
	out, status := shell(t, `
		gen="$V gen --wave mixed --noise 0.1 --seed 3 --start 5 --rate 3 --limit 300 --fast"
		for f in villas csv tsv json; do $gen --out x.$f || exit; done
		for f in csv tsv json; do $V compare x.villas x.$f || exit; done
		$gen --rate 0.1 --format csv --integers | head -3
		cat x.json | $V compare - x.villas --format-a json && $V gen --limit 1 --fast --start 2026-01-01T00:00:00Z --values 2 --name u,i --unit V,A
		$gen --format villas.human-0.3 > old.villas && $V compare old.villas x.villas --abs 1e-6`)
	want := "secs,nsecs,offset,sequence,signal0,signal1,signal2,signal3,signal4,signal5\n5,000000000,nan,0,0,"
	if status != 0 || !strings.Contains(out, want) || !strings.Contains(out, "\n15,000000000,nan,1,") ||
		!strings.Contains(out, "# seconds.nanoseconds(sequence)\tu[V]\ti[A]\n1767225600.000000000(0)\t0.0") || strings.Count(out, "different  0\nunpaired   0\n") != 5 {
		t.Errorf("status %d\n%s", status, out)
	}
}

func TestGenCountsTimeAndSequence(t *testing.T) {
	t.Parallel()
	out, _ := shell(t, `$V gen --rate 3000 --wave counter --amplitude 0.5 --start 7 --limit 20000 --fast`)
	n := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		ns := (int64(n)*1e9 + 1500) / 3000
		if want := fmt.Sprintf("%d.%09d(%d)\t%d.%d0000000000000000\n", 7+ns/1e9, ns%1e9, n, n/2, n%2*5); line != want {
			t.Fatalf("sample %d is %swant %s", n, line, want)
		}
		n++
	}
	if n != 20000 {
		t.Errorf("%d samples", n)
	}
}

func TestGenKeepsItsRateAndItsTimes(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	out, status := shell(t, `$V gen --rate 1000 --limit 500 --lag 1m --wave counter --start 7 | $V compare - <($V gen --rate 1000 --limit 500 --wave counter --start 7 --fast)`)
	if took := time.Since(begin); status != 0 || took < 499*time.Millisecond {
		t.Errorf("status %d after %v\n%s", status, took, out)
	}
	// What reads too slowly gets less, and is told so.
	out, status = shell(t, `$V gen --rate 20000 --limit 30000 --lag 50ms | (sleep 1; cat) > slow.villas; s=$?; wc -l < slow.villas; tail -1 slow.villas; exit $s`)
	m := regexp.MustCompile(`missed (\d+) samples: .*\n(\d+)\n`).FindStringSubmatch(out)
	if status != 0 || m == nil {
		t.Fatalf("status %d\n%s", status, out)
	}
	missed, _ := strconv.Atoi(m[1])
	if lines, _ := strconv.Atoi(m[2]); missed == 0 || lines+missed != 30000+1 {
		t.Errorf("%d lines, %d missed\n%s", lines, missed, out)
	}
}

func TestCompareSaysWhereAndEndsAccordingly(t *testing.T) {
	t.Parallel()
	runScripts(t, shell, []script{
		{`$V compare $DATA/mixed.villas $DATA/mixed.villas`, 0, "samples    500 and 500\ncompared   500\ndifferent  0\nunpaired   0\nlargest    0 between values, 0s between times\n"},
		{`sed '7s/$/9/' $DATA/sine.villas > b; $V compare $DATA/sine.villas b -q`, 0, ""}, // beyond a double's digits
		{`sed '7s/\t[0-9]*/\t500/' $DATA/sine.villas > b; $V compare $DATA/sine.villas b`, 1,
			`sine.villas:7: signal0 is 325, in b:7 500, off by 175`},
		{`sed '7s/\t[0-9]*/\t500/' $DATA/sine.villas > b; $V compare $DATA/sine.villas b -q --rel 0.36`, 0, ""},
		{`sed 7d $DATA/sine.villas > b; $V compare $DATA/sine.villas b -n 1`, 1,
			`sine.villas:7: sequence is 5, in b:7 6` + "\n...\nsamples    500 and 499\n"},
		{`sed 7d $DATA/sine.villas > b; $V compare $DATA/sine.villas b --by-sequence`, 1, "sine.villas:7: sequence 5 is missing in b\nsamples"},
		{`sed 7d $DATA/sine.villas > b; $V compare $DATA/sine.villas b -q | cat`, 1, "the samples differ"},
		{`sed 7d $DATA/sine.villas > b; $V compare $DATA/sine.villas b -n 100000 | head -1`, 1, "the samples differ"},
		{`$V compare $DATA/sine.villas none`, 2, "open none: no such file or directory"},
		{`echo 1 x > b; $V compare $DATA/sine.villas b`, 2, `b:1:3: value 1 must be a number, is "x"`},
		{`(cat $DATA/sine.villas; echo oops) > b; $V compare $DATA/sine.villas b --skip-malformed`, 0, "skipped b:502:1: seconds must be an integer"},
		{`$V compare - -`, 2, "only one of the files"},
		{`$V compare a`, 2, "accepts 2 arg"},
		{`$V compare $DATA/sine.villas $DATA/sine.villas --abs -1`, 2, "must not be negative"},
		{`$V compare $DATA/sine.villas $DATA/sine.villas > /dev/full`, 1, "no space left on device"},
	})
}

func TestGenTellsWrongUseAndBadOutput(t *testing.T) {
	t.Parallel()
	runScripts(t, shell, []script{
		{`$V gen --rate 1000 --limit 1000000 | head -1 > /dev/null`, 0, ""},
		{`$V gen --fast | head -1 > /dev/null`, 0, ""},
		{`$V gen --fast > /dev/full`, 1, "output: write /dev/stdout: no space left on device"},
		{`$V gen --limit 1 > /dev/full`, 1, "no space left on device"},
		{`$V gen --limit 1 --fast > /dev/full`, 1, "no space left on device"},
		{`$V gen --out there/is/none.csv`, 1, "no such file or directory"},
		{`$V gen --wave sinus`, 2, `there is no shape "sinus": it must be one of random, sine, square, triangle, ramp, counter, mixed`},
		{`$V gen --rate 0`, 2, "--rate must be above 0"},
		{`$V gen --rate nan`, 2, "--rate must be above 0"},
		{`$V gen --values -1`, 2, "--values must not be negative"},
		{`$V gen --start yesterday`, 2, "--start must be seconds or a time"},
		{`$V gen --format cvs`, 2, `there is no format "cvs"`},
		{`$V gen --region /a/b --limit 1`, 1, `create region "/a/b"`},
		{`$V gen --help`, 0, "villas-shmem gen --region /villas1 --rate 1000 --wave sine"},
	})
}

func TestGenIsANodeForOneProgramAfterTheOther(t *testing.T) {
	t.Parallel()
	name, begin := regionName(t), time.Now()
	gen := start(t, nil, command, "gen", "--region", name, "--rate", "2000", "--wave", "mixed", "--start", "7", "--lag", "1m")
	waitFor(t, "/dev/shm"+name)
	for range 2 {
		killed := start(t, nil, filepath.Join(buildDir, "echo"), "-q", name)
		time.Sleep(300 * time.Millisecond)
		killed.Process.Kill()
		killed.Wait()
		out, status := shell(t, fmt.Sprintf(`
			$V pipe %s --wait --no-input --limit 300 --out got.villas || exit
			$V gen --rate 2000 --wave mixed --start 7 --fast --limit 100000 | $V compare --by-sequence --float32 -n 1000000 got.villas - > report
			grep -v "is missing in got.villas" report`, name))
		if !strings.Contains(out, "samples    300 and 100000\ncompared   300\ndifferent  0\n") {
			t.Errorf("status %d\n%s", status, out)
		}
		time.Sleep(time.Second) // with nobody there
	}
	last := start(t, nil, filepath.Join(buildDir, "echo"), "-q", name)
	time.Sleep(300 * time.Millisecond)
	gen.Process.Signal(syscall.SIGINT)
	out, err := gen.end()
	attached := time.Since(begin) - 2*time.Second
	last.Wait()
	m := regexp.MustCompile(`^sent +(\d+)\nreturned +(\d+)\nmissed +0\nprograms +5\n$`).FindStringSubmatch(out)
	if err != nil || m == nil || m[2] == "0" {
		t.Fatalf("%v\n%s", err, out)
	}
	if sent, _ := strconv.Atoi(m[1]); sent > int(attached.Seconds()*2000)+5 {
		t.Errorf("%d samples were sent in %v: also while nobody was there", sent, attached)
	}
}

func TestAnInterruptEndsCommandsThatWaitForAPipe(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"compare", "-", mixed}, {"plot", "-"}, {"gen", "--fast"}, {"gen", "--rate", "0.01"}} {
		from, feeds, err := os.Pipe() // nothing ever comes
		if err != nil {
			t.Fatal(err)
		}
		unread, to, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := exec.Command(command, args...)
		p.Stdin, p.Stdout = from, to
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		from.Close()
		to.Close()
		time.Sleep(500 * time.Millisecond)
		p.Process.Signal(syscall.SIGTERM)
		ended := time.AfterFunc(20*time.Second, func() {
			t.Errorf("%v hangs", args)
			p.Process.Kill()
		})
		p.Wait()
		ended.Stop()
		feeds.Close()
		unread.Close()
	}
}

// Short here, ten minutes by make soak-gen. The queue holds what comes while the
// program has no processor: the usual one 51 ms, this one 1.6 s.
func TestNoSampleIsLostAtTenThousandASecond(t *testing.T) {
	t.Parallel()
	seconds, lag := 2, "1m" // other tests may take the processors meanwhile
	if n, err := strconv.Atoi(os.Getenv("SOAK_SECONDS")); err == nil {
		seconds, lag = n, "1s"
	}
	name, n := regionName(t), seconds*10000
	begin := time.Now()
	out, status := shell(t, fmt.Sprintf(`
		gen="$V gen --rate 10000 --wave random,counter --noise 0.1 --start 7 --limit %d"
		mkfifo expected; $gen --fast > expected &
		$gen --region %s --queuelen 16384 --lag %s &
		$V pipe %[2]s --wait --no-input | $V compare - expected --float32; s=$?
		wait; exit $s`, n, name, lag))
	took := time.Since(begin)
	t.Logf("%d samples in %v", n, took)
	if !strings.Contains(out, "\nmissed    0\n") || !strings.Contains(out, fmt.Sprintf("samples    %d and %[1]d\ncompared   %[1]d\ndifferent  0\nunpaired   0\n", n)) || status != 0 ||
		took < time.Duration(n-1)*100*time.Microsecond {
		t.Errorf("status %d after %v\n%s", status, took, out)
	}
}

func TestPlotsShowWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(t *testing.T, script string) (string, int) { return shell(t, "cd "+dir+"\n"+script) }
	if out, status := in(t, `$V plot $DATA/mixed.villas && $V plot $DATA/mixed.villas -o a.svg --signals signal1,2-3 --size 640x300 --title "A title" &&
		$V gen --limit 100 --fast --values 2 --name u,i --unit V --format csv | $V plot - --format csv -o b.svg &&
		$V plot $DATA/mixed.villas -o - --size 200x100 > c.png`); status != 0 || out != "" {
		t.Fatalf("status %d\n%s", status, out)
	}
	for file, size := range map[string][2]int{"mixed.png": {1000, 500}, "c.png": {200, 100}} {
		f, err := os.Open(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		image, err := png.Decode(f)
		if err != nil || image.Bounds().Dx() != size[0] || image.Bounds().Dy() != size[1] {
			t.Errorf("%s: %v", file, err)
			continue
		}
		colours := map[any]bool{}
		for x := range size[0] {
			for y := range size[1] {
				colours[image.At(x, y)] = true
			}
		}
		if len(colours) < 5 {
			t.Errorf("%s has %d colours", file, len(colours))
		}
	}
	for file, want := range map[string][2][]string{
		"a.svg": {{">A title<", ">signal1<", ">signal2<", ">signal3<", ">seconds since 2026-11-23 20:03:38.478504893 UTC<"}, {">signal0<"}},
		"b.svg": {{">u[V]<", ">i[V]<", ">V<"}, nil},
	} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want[0] {
			if !strings.Contains(string(b), text) {
				t.Errorf("%s: no %s", file, text)
			}
		}
		for _, text := range want[1] {
			if strings.Contains(string(b), text) {
				t.Errorf("%s: there is %s", file, text)
			}
		}
	}
	runScripts(t, in, []script{
		{`$V plot $DATA/mixed.villas -o x.gif`, 2, "x.gif: the name of the chart must end in .png, .svg or .pdf"},
		{`$V plot $DATA/mixed.villas --size 5`, 2, "--size must be WIDTHxHEIGHT"},
		{`$V plot $DATA/mixed.villas --signals 3,speed`, 2, `there is no "speed" among the 4 signals`},
		{`$V plot none`, 1, "open none: no such file or directory"},
		{`: > empty; $V plot empty`, 1, "empty: there are no values to draw"},
		{`printf '1 1\n2 x\n3 3\n' > bad; $V plot bad`, 1, `bad:2:3: value 1 must be a number, is "x"`},
		{`$V plot bad --skip-malformed && ls bad.png`, 0, "bad.png"},
		{`$V plot $DATA/mixed.villas -o - > /dev/full`, 1, "no space left on device"},
		{`$V plot $DATA/mixed.villas -o /proc/x.png`, 1, "/proc/x.png"},
	})
}
