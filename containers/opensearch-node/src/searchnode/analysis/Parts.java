package searchnode.analysis;

import java.io.Reader;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.index.analysis.AnalyzerProvider;
import org.opensearch.index.analysis.AnalyzerScope;
import org.opensearch.index.analysis.CharFilterFactory;
import org.opensearch.index.analysis.NormalizingCharFilterFactory;
import org.opensearch.index.analysis.NormalizingTokenFilterFactory;
import org.opensearch.index.analysis.TokenFilterFactory;
import org.opensearch.index.analysis.TokenizerFactory;
import org.opensearch.indices.analysis.AnalysisModule.AnalysisProvider;

/** Wraps Lucene's parts in the factories that a node asks its plugins for. */
final class Parts {
    /** Reads a part's settings and says how to make the part. */
    interface Maker<T> extends BiFunction<Environment, Settings, T> {}

    private record CharPart(String name, UnaryOperator<Reader> part) implements NormalizingCharFilterFactory {
        @Override
        public Reader create(Reader text) {
            return part.apply(text);
        }
    }

    private record FilterPart(String name, UnaryOperator<TokenStream> part) implements TokenFilterFactory {
        @Override
        public TokenStream create(TokenStream tokens) {
            return part.apply(tokens);
        }
    }

    private record NormalizerPart(String name, UnaryOperator<TokenStream> part)
        implements NormalizingTokenFilterFactory {
        @Override
        public TokenStream create(TokenStream tokens) {
            return part.apply(tokens);
        }
    }

    private record AnalyzerPart(String name, Analyzer get) implements AnalyzerProvider<Analyzer> {
        @Override
        public AnalyzerScope scope() {
            return AnalyzerScope.INDEX;
        }
    }

    static AnalysisProvider<CharFilterFactory> charFilter(Maker<UnaryOperator<Reader>> maker) {
        return (index, env, name, settings) -> new CharPart(name, maker.apply(env, settings));
    }

    static AnalysisProvider<TokenFilterFactory> filter(Maker<UnaryOperator<TokenStream>> maker) {
        return (index, env, name, settings) -> new FilterPart(name, maker.apply(env, settings));
    }

    /** A token filter that may also stand in the normalizer of a keyword field. */
    static AnalysisProvider<TokenFilterFactory> normalizer(Maker<UnaryOperator<TokenStream>> maker) {
        return (index, env, name, settings) -> new NormalizerPart(name, maker.apply(env, settings));
    }

    static AnalysisProvider<TokenizerFactory> tokenizer(Maker<Supplier<Tokenizer>> maker) {
        return (index, env, name, settings) -> TokenizerFactory.newFactory(name, maker.apply(env, settings));
    }

    static AnalysisProvider<AnalyzerProvider<? extends Analyzer>> analyzer(Maker<Analyzer> maker) {
        return (index, env, name, settings) -> new AnalyzerPart(name, maker.apply(env, settings));
    }

    private Parts() {}
}
